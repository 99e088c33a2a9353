// Of each object with an id and a version, keeps the newest fields of all answers.
export function keepNewest(objectsMax = 10_000) {
  const known = new Map();
  const otherObject = (a, b) => a?.id && b?.id && a.id !== b.id;

  function newer(object) {
    const before = known.get(object.id);
    known.delete(object.id); // the map is in the order of use
    if (before?.version > object.version) {
      known.set(object.id, { ...object, ...before });
      const kept = Object.keys(object).filter((name) => name in before && !otherObject(object[name], before[name]));
      object = { ...object, ...Object.fromEntries(kept.map((name) => [name, before[name]])) };
    } else {
      known.set(object.id, before?.version === object.version ? { ...before, ...object } : object);
    }
    if (known.size > objectsMax) known.delete(known.keys().next().value);
    return object;
  }

  function newest(value) {
    if (Array.isArray(value)) return value.map(newest);
    if (!value || typeof value !== 'object') return value;
    const object = typeof value.id === 'string' && typeof value.version === 'number' ? newer(value) : value;
    return Object.fromEntries(Object.entries(object).map(([name, field]) => [name, newest(field)]));
  }

  const order = (answer) => ({ ...answer, data: newest(answer.data) });
  // After a reconnect everything is read again, and a database that comes from a backup has lower versions.
  const forgetAfterReconnect = (socket) => socket.on('connected', (_socket, _payload, wasRetry) => wasRetry && known.clear());
  return { order, forgetAfterReconnect };
}
