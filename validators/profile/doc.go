// Package profile turns StructureDefinitions into immutable trees that an instance walk can follow.
//
// A Catalog holds the packages at hand; Catalog.Set picks the active ones (with what they depend on) and answers for them: by
// canonical (Profile), by type (Base), by extension url (Extension), as the fhirpath.Model (Type), for search parameters and
// for terminology. Each definition is compiled once, when it is first asked for, and is shared by all sets. Profiles with a
// differential only get their snapshot here. References from one definition to another are pinned: to a guide's definition
// as url|version, following the versions the guide depends on; to the definitions of FHIR itself as the bare url.
//
// The package does not look at instances, and it does not compile FHIRPath.
package profile
