/** The CPU time of a Redis server, which other programs on the machine add little to. */

import { redisCommand } from '../scripts/resp.mjs'

/**
 * Microseconds that its main thread, which runs all commands, has spent since its start; where a system or an older server does
 * not tell that, those of all its threads.
 */
export async function redisCpuUs(port) {
  const info = await redisCommand(port, 'INFO', 'cpu')
  const find = (field) => new RegExp(`^${field}:([\\d.]+)`, 'm').exec(info)?.[1]
  const secondsOf = (field) => Number(find(`${field}_main_thread`) ?? find(field))
  return (secondsOf('used_cpu_user') + secondsOf('used_cpu_sys')) * 1e6
}
