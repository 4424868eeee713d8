// Package blobstest is the contract that every store of blobs keeps: call Run from the test of an implementation.
package blobstest
