// One question to a server over TCP, and what it says, in no order.
import { once } from 'node:events';
import { connect } from 'node:net';
import { Packet } from 'dns2';
import { labelsOf } from '../../src/dns/names.ts';
import { TYPE } from '../../src/dns/records.ts';

/** Types by name, those that the library does not know among them. */
const types: Readonly<Record<string, number>> = TYPE;

/** @param question `NAME TYPE` */
export async function ask(port: number, question: string): Promise<string> {
  const [name = '', type = ''] = question.split(' ');
  const packet = new Packet({ id: 1, rd: 1 } as never);
  packet.questions = [{ name: labelsOf(name).join('.'), type: types[type], class: 1 } as never];
  const query = packet.toBuffer();
  const length = Buffer.alloc(2);
  length.writeUInt16BE(query.length);
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  socket.end(Buffer.concat([length, query]));
  const chunks: Buffer[] = [];
  for await (const chunk of socket) chunks.push(chunk);
  const reply = Packet.parse(Buffer.concat(chunks).subarray(2));
  const { rcode, aa } = reply.header;
  const records = reply.answers.map(
    ({ name: owner, type: of, address, domain, ns, data, port: at, target, primary }) =>
      [owner.toLowerCase(), of, address ?? domain ?? ns ?? data ?? primary, at, target]
        .filter((part) => part !== undefined)
        .join(' '),
  );
  const negative =
    reply.answers.length === 0 ? reply.authorities.map((one) => `${one.name} ${one.type}`) : [];
  return [`rcode ${rcode}`, `aa ${aa}`, ...records.sort(), ...negative].join('; ');
}
