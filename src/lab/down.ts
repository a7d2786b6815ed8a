/** `overweft lab down`: leaves nothing behind, whatever state the lab was in. */
import { deleteNetwork, endProcesses, existingNetns } from './network.ts';
import { labDaemons, removeState } from './state.ts';

/** @returns whether there was anything to take down */
export async function takeDown(): Promise<boolean> {
  const daemons = labDaemons();
  const namespaces = existingNetns();
  await endProcesses(labDaemons);
  await deleteNetwork();
  const directory = await removeState();
  return directory || daemons.length > 0 || namespaces.length > 0;
}
