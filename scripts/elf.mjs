/** What an ELF file of a 64-bit Linux says of itself: its sections, and the versions of libraries that it asks for. */

const SHT_GNU_VERNEED = 0x6ffffffe

/** Whether these bytes begin as such a file does: 64 bits, little-endian. */
export function isElf(bytes) {
  return bytes.readUInt32BE(0) === 0x7f454c46 && bytes[4] === 2 && bytes[5] === 1
}

/** `{ sections: ['.text', …], versions: ['GLIBC_2.17', …] }` */
export function readElf(bytes) {
  const sections = sectionsOf(bytes)
  const versions = sections.filter(({ type }) => type === SHT_GNU_VERNEED).flatMap((it) => needed(bytes, it, sections))
  return { sections: sections.map(({ name }) => name), versions: [...new Set(versions)] }
}

function sectionsOf(bytes) {
  const table = Number(bytes.readBigUInt64LE(0x28))
  const [size, count, ofNames] = [0x3a, 0x3c, 0x3e].map((at) => bytes.readUInt16LE(at))
  const sections = Array.from({ length: count }, (_, index) => {
    const at = table + index * size
    return {
      name: bytes.readUInt32LE(at),
      type: bytes.readUInt32LE(at + 4),
      offset: Number(bytes.readBigUInt64LE(at + 0x18)),
      link: bytes.readUInt32LE(at + 0x28),
      entries: bytes.readUInt32LE(at + 0x2c),
    }
  })
  const names = sections[ofNames].offset
  return sections.map((section) => ({ ...section, name: text(bytes, names + section.name) }))
}

/** The versions of a section `.gnu.version_r`: a list of libraries, each with a list of its versions. */
function needed(bytes, { offset, link, entries }, sections) {
  const names = sections[link].offset
  const versions = []
  for (let library = offset, left = entries; left > 0; left -= 1) {
    let version = library + bytes.readUInt32LE(library + 8)
    for (let more = bytes.readUInt16LE(library + 2); more > 0; more -= 1) {
      versions.push(text(bytes, names + bytes.readUInt32LE(version + 8)))
      version += bytes.readUInt32LE(version + 12)
    }
    library += bytes.readUInt32LE(library + 12)
  }
  return versions
}

function text(bytes, from) {
  return bytes.toString('latin1', from, bytes.indexOf(0, from))
}
