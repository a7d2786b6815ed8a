// What `tool ask` prints.
import { until } from './until.ts';

export interface Answer {
  readonly protocol: string;
  readonly server: string;
  /** Address and port that the client's socket has, and those that the server sees; undefined without an answer. */
  readonly own: string | undefined;
  readonly seen: string | undefined;
}

export const answersOf = (printed: string): Answer[] =>
  printed
    .trim()
    .split('\n')
    .map((line) => {
      const [protocol = '', server = '', ...rest] = line.split(' ');
      const [own, seen] = rest.length === 2 ? rest : [];
      return { protocol, server, own, seen };
    })
    .sort((a, b) => (a.server + a.protocol < b.server + b.protocol ? -1 : 1));

/** Those to whom nothing came back. */
export const unanswered = (answers: readonly Answer[]): string[] =>
  answers.filter(({ seen }) => !seen).map(({ protocol, server }) => `${protocol} ${server}`);

/** Those in whose way somebody changed the address. */
export const translated = (answers: readonly Answer[]): Answer[] =>
  answers.filter(({ own, seen }) => own !== seen);

/** Asks until all answer, as a slow machine may need it; returns what they said then. */
export async function allAnswers(ask: () => Promise<Answer[]>): Promise<Answer[]> {
  let answers: Answer[] = [];
  await until('all answer', async () => {
    answers = await ask();
    const silent = unanswered(answers);
    if (silent.length > 0) throw new Error(`nothing from ${silent.join(', ')}`);
    return true;
  });
  return answers;
}
