package postgres

// settingsLockSQL lets one settings write run at a time: of two that create the same
// row, one would not see the other's. Rows that exist are locked one by one. The number
// is the lock's name.
const settingsLockSQL = `SELECT pg_advisory_xact_lock(7305804402467468404)`
