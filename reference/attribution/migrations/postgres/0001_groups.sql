CREATE TABLE ref_group_owner (
  id TEXT PRIMARY KEY,
  client TEXT NOT NULL,
  expires BIGINT NOT NULL
);
CREATE TABLE ref_group_term (
  id TEXT NOT NULL,
  patient TEXT NOT NULL,
  starts BIGINT NOT NULL,
  ends BIGINT NOT NULL,
  sensitive BOOLEAN NOT NULL,
  PRIMARY KEY (id, patient)
);
