// In which slot of a Redis Cluster a key lies: CRC16 (XMODEM) of its name, or of what stands in its first braces.
'use strict'

const SLOTS = 16_384
const [OPEN, CLOSE] = [...'{}'].map((sign) => sign.charCodeAt(0))

const TABLE = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit += 1) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})

/** The slot of a key, given as a Buffer. */
function slotOf(name) {
  const open = name.indexOf(OPEN)
  const close = open === -1 ? -1 : name.indexOf(CLOSE, open + 1)
  const hashed = close > open + 1 ? name.subarray(open + 1, close) : name
  let crc = 0
  for (const byte of hashed) crc = ((crc << 8) & 0xffff) ^ TABLE[(crc >> 8) ^ byte]
  return crc % SLOTS
}

module.exports = { slotOf }
