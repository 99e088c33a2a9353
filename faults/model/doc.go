// Package model is what customers did, and the rules that explain the answers they got.
//
// Terms:
//   - operation: one thing a customer asked for, with all its retries: from the first attempt to the definite answer.
//     Without one it is pending: it may have taken effect or not. So is one that was refused for a shortage after an
//     attempt without an answer: a refusal binds no key, and that attempt may still take effect.
//   - cart: a reservation that a customer asked for.
//   - history: all operations of a scenario, on one clock.
//   - linearizable: there is an order of the operations, each at some moment between call and return, that explains every
//     answer.
//
// [History] records operations. [Linearizable] asks porcupine for such an order, product by product. The rules are in
// step (rules.go) and fit a screen.
//
// Invariants: the rules know neither SQL nor Redis. A step never changes the state that it was given.
//
// It imports nothing of Onhand.
package model
