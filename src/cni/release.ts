// The end of an attachment, when nothing of it is left in the data path but its host ports.
import { noChanges } from '../control/changes.ts';
import type { Attachment } from '../ipam/ledger.ts';
import type { CniParts } from './parts.ts';

/** Its addresses and host ports become free for others. */
export async function release(
  attachment: Attachment,
  { ledger, controller }: Pick<CniParts, 'ledger' | 'controller'>,
): Promise<void> {
  ledger.release(attachment);
  if (attachment.hostPorts.length > 0) await controller.storeChanged(noChanges);
}
