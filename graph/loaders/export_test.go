package loaders

// Alone is alone, for tests.
var Alone = alone
