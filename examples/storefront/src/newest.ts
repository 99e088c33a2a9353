// Of each object with an id and a version, keeps the newest fields of all answers: a late
// answer to a query never replaces a newer push. See "Caches" in docs/clients.md.
type Versioned = Record<string, unknown> & { id: string; version: number }

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
const isVersioned = (value: Record<string, unknown>): value is Versioned =>
  typeof value.id === 'string' && typeof value.version === 'number'
const otherObject = (a: unknown, b: unknown) => isObject(a) && isObject(b) && a.id !== undefined && b.id !== undefined && a.id !== b.id

export function keepNewest(objectsMax = 10_000) {
  const known = new Map<string, Versioned>()

  function newer(object: Versioned): Versioned {
    const before = known.get(object.id)
    known.delete(object.id) // the map is in the order of use
    let result = object
    if (before && before.version > object.version) {
      known.set(object.id, { ...object, ...before })
      result = { ...object }
      for (const name of Object.keys(object)) {
        if (name in before && !otherObject(object[name], before[name])) result[name] = before[name]
      }
    } else {
      known.set(object.id, before?.version === object.version ? { ...before, ...object } : object)
    }
    if (known.size > objectsMax) known.delete(known.keys().next().value as string)
    return result
  }

  function newest(value: unknown): unknown {
    if (Array.isArray(value)) return value.map(newest)
    if (!isObject(value)) return value
    const object = isVersioned(value) ? newer(value) : value
    return Object.fromEntries(Object.entries(object).map(([name, field]) => [name, newest(field)]))
  }
  return { newest, forget: () => known.clear() }
}
