/** The CPU time of a Redis server, which other programs on the machine add little to. */

import { redisCommand } from '../scripts/resp.mjs'

/** Microseconds that its main thread, which runs all commands, has spent since its start. */
export async function redisCpuUs(port) {
  const info = await redisCommand(port, 'INFO', 'cpu')
  const of = (field) => Number(new RegExp(`^${field}:([\\d.]+)`, 'm').exec(info)[1])
  return (of('used_cpu_user_main_thread') + of('used_cpu_sys_main_thread')) * 1e6
}
