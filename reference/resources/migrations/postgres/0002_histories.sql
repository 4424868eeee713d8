CREATE INDEX ref_resource_updated ON ref_resource (updated);
CREATE INDEX ref_version_updated ON ref_version (updated);
