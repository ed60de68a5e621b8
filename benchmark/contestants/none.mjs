/** No limiter at all: what the scenario itself costs. */

export const open = async () => ({ isAllowed: async () => true, close: async () => {} })
