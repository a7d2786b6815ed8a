import { readdirSync } from 'node:fs';
import { expect, it } from 'vitest';
import { describeWith, root, tun } from '../support/requires.ts';
import { addon } from './burst.ts';

describeWith([root, tun], 'probe', () => {
  it('says of each feature whether the host gives it, and leaves nothing behind', () => {
    const descriptors = readdirSync('/proc/self/fd').length;
    const features = addon.probe();
    expect(Object.keys(features).sort()).toEqual(
      ['multiQueue', 'rcvbufForce', 'tso', 'tunnelGso', 'udpGro', 'udpSegment', 'uso'].sort(),
    );
    for (const feature of ['multiQueue', 'tso', 'udpSegment', 'udpGro', 'rcvbufForce'] as const) {
      expect(features[feature], feature).toEqual({ available: true });
    }
    for (const feature of [features.uso, features.tunnelGso]) {
      if (!feature.available) expect(feature).toMatchObject({ code: 'EINVAL', errno: -22 });
    }
    const { offloads, fd } = addon.openTap({ name: 'ownat%d' });
    expect(offloads).toEqual({ csum: true, tso: true, uso: features.uso.available });
    addon.close(fd);
    expect(readdirSync('/proc/self/fd')).toHaveLength(descriptors);
    expect(readdirSync('/sys/class/net').filter((name) => name.startsWith('owprobe'))).toEqual([]);
  });
});
