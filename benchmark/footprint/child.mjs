/** The child process of one measurement of memory. */

import { answer } from '../child.mjs'
import { MEASUREMENTS } from './index.mjs'

await answer(({ id, quick, redisUrl }) => {
  const measurement = MEASUREMENTS.find((candidate) => candidate.id === id)
  return measurement.measure({
    ...measurement.settings,
    ...(quick && measurement.quick),
    ...(measurement.needsRedis && { redisUrl }),
  })
})
