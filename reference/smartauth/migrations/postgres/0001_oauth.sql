CREATE TABLE oauth_client (
  id TEXT PRIMARY KEY,
  created BIGINT NOT NULL,
  metadata TEXT NOT NULL,
  secret TEXT NOT NULL,
  certificate TEXT NOT NULL,
  entry TEXT NOT NULL,
  organization TEXT NOT NULL,
  anchor TEXT NOT NULL
);
CREATE UNIQUE INDEX oauth_client_anchor ON oauth_client (anchor) WHERE anchor <> '';
CREATE TABLE oauth_token (
  hash TEXT PRIMARY KEY,
  client TEXT NOT NULL,
  scope TEXT NOT NULL,
  patient TEXT NOT NULL,
  certificate TEXT NOT NULL,
  audience TEXT NOT NULL,
  issued BIGINT NOT NULL,
  expires BIGINT NOT NULL,
  revoked BIGINT NOT NULL
);
CREATE INDEX oauth_token_client ON oauth_token (client);
CREATE INDEX oauth_token_expires ON oauth_token (expires);
CREATE TABLE oauth_jti (
  client TEXT NOT NULL,
  hash TEXT NOT NULL,
  expires BIGINT NOT NULL,
  PRIMARY KEY (client, hash)
);
CREATE INDEX oauth_jti_expires ON oauth_jti (expires);
CREATE TABLE oauth_member (
  client TEXT NOT NULL,
  patient TEXT NOT NULL,
  identifier TEXT NOT NULL,
  matched BIGINT NOT NULL,
  starts BIGINT NOT NULL,
  ends BIGINT NOT NULL,
  sensitive BIGINT NOT NULL,
  withdrawn BIGINT NOT NULL,
  PRIMARY KEY (client, patient)
);
CREATE INDEX oauth_member_identifier ON oauth_member (client, identifier);
