// Package planfiles keeps the plans in use: those that are built in, and those in files that people change while traffic is judged.
//
// New names the files and folders, Read reads them once, and Follow reads them again as they change and says which plans are in use then. A
// file that cannot be read as a plan leaves its text before in use; Now says what is wrong with it and where. Each text that was in use is
// kept beside, so that what it judged can be read with it. The package vets nothing itself and judges nothing.
package planfiles
