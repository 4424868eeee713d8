// Package static holds the dashboard's stylesheet and script and serves them under content-hashed names.
//
// Use New and Files.URL to name an asset in a page and Files.ServeHTTP to answer for it. It serves what it lists and
// nothing else; other people's scripts have no place here.
package static
