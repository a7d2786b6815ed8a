/**
 * Services in a table area: where clients knock, and who answers.
 *
 *     address, protocol, port ──► frontend ──► pool ──► slot of the connection's hash ──► backend
 *
 *     frontends ┌───────────────────────────────┐   open-addressed hash, half full at most
 *               ├───────────────────────────────┤
 *     pools     │ head ┼ slots ┼ backends       │   one block a pool, anywhere in the services' part of the area
 *               │ head ┼ slots ┼ backends …     │
 *               └───────────────────────────────┘
 *
 * A frontend leads to two pools: one for clients inside (pods of this node and the node itself, and of host ports those
 * of other nodes), one for those that come from outside (the TAP ow-forward). Either may be empty; then it names the
 * verdict.
 */

// ---- frontend: an address and port at which clients knock ---------------------------------
//
//      0         16     18      19     20       24        28     32
//      ├ address ┼ port ┼ proto ┼ kind ┼ inside ┼ outside ┼ zero ┤
//
export const FRONTEND_SIZE: u32 = 32;
/** 16 bytes. */
export const FRONTEND_ADDRESS: u32 = 0;
/** u16: host order; 0 of FRONTEND_ADDRESS_ONLY. */
export const FRONTEND_PORT: u32 = 16;
/** u8: IP protocol; 0 of FRONTEND_ADDRESS_ONLY. */
export const FRONTEND_PROTOCOL: u32 = 18;
/** u8: FRONTEND_CLUSTER_IP …; 0: the slot is free. */
export const FRONTEND_KIND: u32 = 19;
/** u32: pool for clients inside, absolute. */
export const FRONTEND_INSIDE: u32 = 20;
/** u32: pool for clients outside, absolute. */
export const FRONTEND_OUTSIDE: u32 = 24;

/** Kinds, in the order of frontendKinds (src/service/ports.ts). */
export const FRONTEND_CLUSTER_IP: u32 = 1;
/** An address of this node and a port of NodePort or LoadBalancer Services. */
export const FRONTEND_NODE_PORT: u32 = 2;
export const FRONTEND_LOAD_BALANCER: u32 = 3;
export const FRONTEND_EXTERNAL_IP: u32 = 4;
/** An address of this node and a port that leads to one of a pod here. */
export const FRONTEND_HOST_PORT: u32 = 5;
/** No port: the address is a cluster IP, so that what comes to any other port of it is refused. */
export const FRONTEND_ADDRESS_ONLY: u32 = 15;

// ---- pool: endpoints of one port under one traffic policy -----------------------------------
//
//      0       4       8          12      16         20      24         28     32    48       52      56     60     64
//      ├ slots ┼ count ┼ backends ┼ count ┼ affinity ┼ empty ┼ key port ┼ used ┼ key ┼ ranges ┼ count ┼ node ┼ zero ┤
//
export const POOL_SIZE: u32 = 64;
/** u32: absolute offset of the slots, u16 each: index of a backend. */
export const POOL_SLOTS: u32 = 0;
/** u32: slots; 0: nobody answers. */
export const POOL_SLOTS_COUNT: u32 = 4;
/** u32: absolute offset of the backends. */
export const POOL_BACKENDS: u32 = 8;
/** u32: backends, those counted in that only keep the UDP clients that they have: the last. */
export const POOL_BACKENDS_COUNT: u32 = 12;
/** u32: milliseconds for which a client stays with its backend; 0: each connection may go to another. */
export const POOL_AFFINITY: u32 = 16;
/** u32: Verdict where there are no slots. */
export const POOL_EMPTY: u32 = 20;
/** u32: protocol << 16 | port of the Service's port under which clients are remembered. */
export const POOL_KEY_PORT: u32 = 24;
/** u32: backends to which slots lead: the first. */
export const POOL_USED_COUNT: u32 = 28;
/** 16 bytes: its cluster IP. */
export const POOL_KEY: u32 = 32;
/** u32: absolute offset of the ranges that a load balancer's clients must be in; 0: everybody may be one. */
export const POOL_RANGES: u32 = 48;
/** u32. */
export const POOL_RANGES_COUNT: u32 = 52;
/** u32: 1: what this node itself sends is in range, whatever its source. */
export const POOL_RANGES_HAVE_NODE: u32 = 56;

// ---- range: block of addresses ---------------------------------------------------------------
//
//      0         16     32
//      ├ address ┼ mask ┤
//
export const RANGE_SIZE: u32 = 32;
export const RANGE_ADDRESS: u32 = 0;
export const RANGE_MASK: u32 = 16;

// ---- backend -----------------------------------------------------------------------------------
//
//      0         16     18       24
//      ├ address ┼ port ┼ (zero) ┤
//
export const BACKEND_SIZE: u32 = 24;
export const BACKEND_ADDRESS: u32 = 0;
/** u16: host order. */
export const BACKEND_PORT: u32 = 16;
