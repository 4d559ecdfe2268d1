/** An IPv6 address stands in brackets within a URL. */
export const bracket = (address: string): string => (address.includes(':') ? `[${address}]` : address);

export const isLoopback = (address: string): boolean =>
  address === 'localhost' || address === '::1' || address.startsWith('127.');

/** Listens on every address of its host. */
export const isWildcard = (address: string): boolean => address === '0.0.0.0' || address === '::';
