// Package arch holds the import layers of this module as data; its test fails on a new edge or an unmapped package.
package arch
