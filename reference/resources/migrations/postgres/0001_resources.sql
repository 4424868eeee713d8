CREATE TABLE ref_resource (
  rid BIGINT PRIMARY KEY,
  type TEXT NOT NULL,
  id TEXT NOT NULL,
  version BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  deleted BIGINT NOT NULL,
  patient TEXT NOT NULL,
  body BYTEA NOT NULL
);
CREATE UNIQUE INDEX ref_resource_key ON ref_resource (type, id);
CREATE INDEX ref_resource_type ON ref_resource (type) WHERE deleted = 0;
CREATE INDEX ref_resource_patient ON ref_resource (patient, type) WHERE deleted = 0 AND patient <> '';
CREATE INDEX ref_resource_deleted ON ref_resource (type, updated) WHERE deleted = 1;
CREATE TABLE ref_version (
  rid BIGINT NOT NULL,
  version BIGINT NOT NULL,
  updated BIGINT NOT NULL,
  deleted BIGINT NOT NULL,
  body BYTEA NOT NULL,
  PRIMARY KEY (rid, version)
);
CREATE TABLE ref_term (
  param BIGINT NOT NULL,
  key TEXT COLLATE "C" NOT NULL,
  rid BIGINT NOT NULL,
  qualifier TEXT NOT NULL,
  PRIMARY KEY (param, key, rid, qualifier)
);
CREATE TABLE ref_date (
  param BIGINT NOT NULL,
  rid BIGINT NOT NULL,
  lo BIGINT NOT NULL,
  hi BIGINT NOT NULL,
  PRIMARY KEY (param, rid, lo, hi)
);
CREATE INDEX ref_date_lo ON ref_date (param, lo);
CREATE TABLE ref_quantity (
  param BIGINT NOT NULL,
  rid BIGINT NOT NULL,
  lo DOUBLE PRECISION NOT NULL,
  hi DOUBLE PRECISION NOT NULL,
  system TEXT NOT NULL,
  code TEXT NOT NULL,
  PRIMARY KEY (param, rid, lo, hi, system, code)
);
CREATE TABLE ref_setting (
  name TEXT PRIMARY KEY,
  value TEXT NOT NULL
);
