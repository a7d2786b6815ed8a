/** A snapshot that does not fit; the tables that are live stay. */
export class TablesFull extends Error {
  override readonly name = 'TablesFull';

  constructor(setting: string, capacity: number, needed: number) {
    super(`tables.${setting} is ${capacity} and ${needed} are needed: raise it in the configuration`);
  }
}
