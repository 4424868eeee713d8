CREATE TABLE ref_resource (
  rid INTEGER PRIMARY KEY,
  type TEXT NOT NULL,
  id TEXT NOT NULL,
  version INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  patient TEXT NOT NULL,
  body BLOB NOT NULL
);
CREATE UNIQUE INDEX ref_resource_key ON ref_resource (type, id);
CREATE INDEX ref_resource_type ON ref_resource (type) WHERE deleted = 0;
CREATE INDEX ref_resource_patient ON ref_resource (patient, type) WHERE deleted = 0 AND patient <> '';
CREATE INDEX ref_resource_deleted ON ref_resource (type, updated) WHERE deleted = 1;
CREATE TABLE ref_version (
  rid INTEGER NOT NULL,
  version INTEGER NOT NULL,
  updated INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  body BLOB NOT NULL,
  PRIMARY KEY (rid, version)
);
CREATE TABLE ref_term (
  param INTEGER NOT NULL,
  key TEXT NOT NULL,
  rid INTEGER NOT NULL,
  qualifier TEXT NOT NULL,
  PRIMARY KEY (param, key, rid, qualifier)
) WITHOUT ROWID;
CREATE TABLE ref_date (
  param INTEGER NOT NULL,
  rid INTEGER NOT NULL,
  lo INTEGER NOT NULL,
  hi INTEGER NOT NULL,
  PRIMARY KEY (param, rid, lo, hi)
) WITHOUT ROWID;
CREATE INDEX ref_date_lo ON ref_date (param, lo);
CREATE TABLE ref_quantity (
  param INTEGER NOT NULL,
  rid INTEGER NOT NULL,
  lo REAL NOT NULL,
  hi REAL NOT NULL,
  system TEXT NOT NULL,
  code TEXT NOT NULL,
  PRIMARY KEY (param, rid, lo, hi, system, code)
) WITHOUT ROWID;
CREATE TABLE ref_setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
