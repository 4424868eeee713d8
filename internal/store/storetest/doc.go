// Package storetest is the contract that every evidence store keeps: call Run from the test of an implementation. It also
// builds exchanges and reports for the tests of the store's users.
package storetest
