// Whether a refusal is due to what a loaded process has taken from its limits, or the whole limits would have refused the call as well.
'use strict'

const nameOf = (name, action) => (action === undefined ? name : `${name}@${action}`)

/** Those of a limiter's policies that are buckets, by their names and actions. Others answer `false`. */
function bucketsOf(policies) {
  return new Map(policies.map(({ name, action, algorithm }) => [nameOf(name, action), algorithm.endsWith('-bucket')]))
}

/**
 * `whole` is what the whole limits say of the key after the refusal. Of windows it tells what they have counted. A bucket's level is kept
 * as a part of the bucket, the same before and after it was made smaller, so there the units that the smaller one lacks are compared.
 */
function isDueToReduction(decision, whole, { cost = 1, action, upTo } = {}, buckets) {
  const of = (decision) => decision.limits ?? [{ ...decision, name: 'default' }]
  const units = upTo === undefined ? cost : 1
  const wholeLimits = of(whole)
  return of(decision).every((limit, index) => {
    const { name, allowed } = limit
    if (allowed || wholeLimits[index].allowed) return true
    const isBucket = buckets.get(nameOf(name, action)) ?? buckets.get(name)
    return isBucket === true && wholeLimits[index].limit - (limit.limit - limit.remaining) >= units
  })
}

module.exports = { bucketsOf, isDueToReduction }
