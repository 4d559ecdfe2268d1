/**
 * ZeroMQ's sockets, to be loaded when they are needed: by `import('…/zeromq.ts')`, never statically. In the bundle for remote hosts its
 * CommonJS package has a default export only when it is imported dynamically by itself.
 */
export { Dealer, Publisher, Router, Subscriber } from 'zeromq';
