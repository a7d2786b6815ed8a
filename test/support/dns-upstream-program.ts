// A name server in a process of its own: 198.51.100.7 is the address of every name, large.example.com has 150.
import { argv, stdout } from 'node:process';
import { a, answerTo, nameServer } from './dns-upstream.ts';

const [, , host = '', port = ''] = argv;
const large = 'large.example.com';

await nameServer(
  (query, transport) => {
    const { name = '', type } = query.questions[0] ?? {};
    if (type !== 1) return answerTo(query, {});
    if (name !== large) return answerTo(query, { answers: [a(name, '198.51.100.7', 3600)] });
    if (transport === 'udp') return answerTo(query, { header: { tc: 1 } });
    return answerTo(query, { answers: Array.from({ length: 150 }, (_, i) => a(name, `198.51.100.${i}`)) });
  },
  host,
  Number(port),
);
stdout.write('ready\n');
