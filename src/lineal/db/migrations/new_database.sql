CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
CREATE TABLE entities (
	id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, ttl_seconds BIGINT, 
	CONSTRAINT pk_entities PRIMARY KEY (id), 
	CONSTRAINT uq_entities_name UNIQUE (name)
);
CREATE TABLE manifests (
	id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	entry_count BIGINT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	CONSTRAINT pk_manifests PRIMARY KEY (id), 
	CONSTRAINT uq_manifests_digest UNIQUE (digest)
);
CREATE TABLE segments (
	id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	first_path TEXT NOT NULL, 
	entry_count INTEGER NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	content BLOB, 
	CONSTRAINT pk_segments PRIMARY KEY (id), 
	CONSTRAINT uq_segments_digest UNIQUE (digest)
);
CREATE TABLE manifest_segments (
	manifest_id INTEGER NOT NULL, 
	position INTEGER NOT NULL, 
	segment_id INTEGER NOT NULL, 
	CONSTRAINT pk_manifest_segments PRIMARY KEY (manifest_id, position), 
	CONSTRAINT fk_manifest_segments_manifest_id FOREIGN KEY(manifest_id) REFERENCES manifests (id), 
	CONSTRAINT fk_manifest_segments_segment_id FOREIGN KEY(segment_id) REFERENCES segments (id)
)
 WITHOUT ROWID

;
CREATE INDEX ix_manifest_segments_segment_id ON manifest_segments (segment_id);
CREATE TABLE projects (
	id INTEGER NOT NULL, 
	entity_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	created_at BIGINT NOT NULL, ttl_seconds BIGINT, retention JSON, protected_aliases JSON, deleted_at BIGINT, deleted_by TEXT, deletion_id INTEGER, 
	CONSTRAINT pk_projects PRIMARY KEY (id), 
	CONSTRAINT fk_projects_entity_id FOREIGN KEY(entity_id) REFERENCES entities (id), 
	CONSTRAINT uq_projects_entity_id_name UNIQUE (entity_id, name)
);
CREATE TABLE collections (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	type TEXT NOT NULL, 
	kind TEXT NOT NULL, 
	description TEXT, 
	next_number INTEGER DEFAULT 0 NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, ttl_seconds BIGINT, retention JSON, deleted_at BIGINT, deleted_by TEXT, display_name TEXT, 
	CONSTRAINT pk_collections PRIMARY KEY (id), 
	CONSTRAINT fk_collections_project_id FOREIGN KEY(project_id) REFERENCES projects (id), 
	CONSTRAINT uq_collections_project_id_name UNIQUE (project_id, name)
);
CREATE TABLE runs (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	run_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	state TEXT NOT NULL, 
	notes TEXT, 
	group_name TEXT, 
	job_type TEXT, 
	config JSON NOT NULL, 
	summary JSON NOT NULL, 
	metadata JSON NOT NULL, 
	sweep_id TEXT, 
	created_by TEXT NOT NULL, 
	git_commit TEXT, 
	git_remote TEXT, 
	host TEXT, 
	program TEXT, 
	created_at BIGINT NOT NULL, 
	heartbeat_at BIGINT NOT NULL, 
	finished_at BIGINT, 
	exit_code INTEGER, 
	runtime_seconds FLOAT DEFAULT 0 NOT NULL, 
	earlier_runtime_seconds FLOAT DEFAULT 0 NOT NULL, 
	last_step BIGINT DEFAULT (-1) NOT NULL, 
	history_count BIGINT DEFAULT 0 NOT NULL, 
	deleted_at BIGINT, 
	deleted_by TEXT, deletion_id INTEGER, released_at BIGINT, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT fk_runs_project_id FOREIGN KEY(project_id) REFERENCES projects (id), 
	CONSTRAINT uq_runs_project_id_run_id UNIQUE (project_id, run_id)
);
CREATE INDEX ix_runs_run_id ON runs (run_id);
CREATE TABLE alias_moves (
	id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	alias TEXT NOT NULL, 
	before_number INTEGER, 
	after_number INTEGER, 
	moved_by TEXT NOT NULL, 
	moved_at BIGINT NOT NULL, asked_for BOOLEAN DEFAULT true NOT NULL, 
	CONSTRAINT pk_alias_moves PRIMARY KEY (id), 
	CONSTRAINT fk_alias_moves_collection_id FOREIGN KEY(collection_id) REFERENCES collections (id)
);
CREATE INDEX ix_alias_moves_collection_id_alias ON alias_moves (collection_id, alias);
CREATE TABLE collection_tags (
	collection_id INTEGER NOT NULL, 
	tag TEXT NOT NULL, 
	CONSTRAINT pk_collection_tags PRIMARY KEY (collection_id, tag), 
	CONSTRAINT fk_collection_tags_collection_id FOREIGN KEY(collection_id) REFERENCES collections (id)
);
CREATE TABLE line_chunks (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	stream TEXT NOT NULL, 
	writer TEXT NOT NULL, 
	first_offset BIGINT NOT NULL, 
	line_count INTEGER NOT NULL, 
	min_step BIGINT, 
	max_step BIGINT, 
	content BLOB NOT NULL, 
	CONSTRAINT pk_line_chunks PRIMARY KEY (id), 
	CONSTRAINT fk_line_chunks_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT uq_line_chunks_run_id_stream_writer_first_offset UNIQUE (run_id, stream, writer, first_offset)
);
CREATE TABLE run_tags (
	run_id INTEGER NOT NULL, 
	tag TEXT NOT NULL, 
	position INTEGER NOT NULL, 
	CONSTRAINT pk_run_tags PRIMARY KEY (run_id, tag), 
	CONSTRAINT fk_run_tags_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE TABLE versions (
	id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	manifest_id INTEGER, 
	digest TEXT NOT NULL, 
	compat_digest TEXT, 
	size_bytes BIGINT NOT NULL, 
	entry_count BIGINT NOT NULL, 
	description TEXT, 
	metadata JSON NOT NULL, 
	base_version_id INTEGER, 
	history_step BIGINT, 
	created_by TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, 
	deleted_at BIGINT, 
	deleted_by TEXT, ttl_seconds BIGINT, deletion_id INTEGER, released_at BIGINT, kept_at BIGINT, 
	CONSTRAINT pk_versions PRIMARY KEY (id), 
	CONSTRAINT fk_versions_base_version_id FOREIGN KEY(base_version_id) REFERENCES versions (id), 
	CONSTRAINT fk_versions_collection_id FOREIGN KEY(collection_id) REFERENCES collections (id), 
	CONSTRAINT fk_versions_manifest_id FOREIGN KEY(manifest_id) REFERENCES manifests (id)
);
CREATE INDEX ix_versions_collection_id_digest ON versions (collection_id, digest);
CREATE INDEX ix_versions_manifest_id ON versions (manifest_id);
CREATE TABLE drafts (
	id INTEGER NOT NULL, 
	client_id TEXT NOT NULL, 
	nonce TEXT NOT NULL, 
	collection_id INTEGER NOT NULL, 
	run_id INTEGER, 
	manifest_id INTEGER, 
	state TEXT NOT NULL, 
	spec JSON NOT NULL, 
	distributed_id TEXT, 
	version_id INTEGER, 
	created_by TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	expires_at BIGINT NOT NULL, 
	CONSTRAINT pk_drafts PRIMARY KEY (id), 
	CONSTRAINT fk_drafts_collection_id FOREIGN KEY(collection_id) REFERENCES collections (id), 
	CONSTRAINT fk_drafts_manifest_id FOREIGN KEY(manifest_id) REFERENCES manifests (id), 
	CONSTRAINT fk_drafts_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT fk_drafts_version_id FOREIGN KEY(version_id) REFERENCES versions (id), 
	CONSTRAINT uq_drafts_client_id UNIQUE (client_id), 
	CONSTRAINT uq_drafts_nonce UNIQUE (nonce)
);
CREATE INDEX ix_drafts_collection_id_distributed_id ON drafts (collection_id, distributed_id);
CREATE INDEX ix_drafts_manifest_id ON drafts (manifest_id);
CREATE TABLE edges (
	id INTEGER NOT NULL, 
	run_id INTEGER NOT NULL, 
	version_id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	alias TEXT, 
	closes_cycle BOOLEAN DEFAULT false NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_edges PRIMARY KEY (id), 
	CONSTRAINT fk_edges_run_id FOREIGN KEY(run_id) REFERENCES runs (id), 
	CONSTRAINT fk_edges_version_id FOREIGN KEY(version_id) REFERENCES versions (id), 
	CONSTRAINT uq_edges_run_id_version_id_kind UNIQUE (run_id, version_id, kind)
);
CREATE INDEX ix_edges_version_id_kind ON edges (version_id, kind);
CREATE TABLE memberships (
	id INTEGER NOT NULL, 
	collection_id INTEGER NOT NULL, 
	version_id INTEGER NOT NULL, 
	number INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	removed_at BIGINT, 
	CONSTRAINT pk_memberships PRIMARY KEY (id), 
	CONSTRAINT fk_memberships_collection_id FOREIGN KEY(collection_id) REFERENCES collections (id), 
	CONSTRAINT fk_memberships_version_id FOREIGN KEY(version_id) REFERENCES versions (id), 
	CONSTRAINT uq_memberships_collection_id_number UNIQUE (collection_id, number)
);
CREATE INDEX ix_memberships_version_id_collection_id ON memberships (version_id, collection_id);
CREATE TABLE version_tags (
	version_id INTEGER NOT NULL, 
	tag TEXT NOT NULL, 
	CONSTRAINT pk_version_tags PRIMARY KEY (version_id, tag), 
	CONSTRAINT fk_version_tags_version_id FOREIGN KEY(version_id) REFERENCES versions (id)
);
CREATE TABLE aliases (
	collection_id INTEGER NOT NULL, 
	alias TEXT NOT NULL, 
	membership_id INTEGER NOT NULL, 
	CONSTRAINT pk_aliases PRIMARY KEY (collection_id, alias), 
	CONSTRAINT fk_aliases_collection_id FOREIGN KEY(collection_id) REFERENCES collections (id), 
	CONSTRAINT fk_aliases_membership_id FOREIGN KEY(membership_id) REFERENCES memberships (id)
);
CREATE INDEX ix_aliases_membership_id ON aliases (membership_id);
CREATE TABLE blobs (
	id INTEGER NOT NULL, 
	digest TEXT NOT NULL, 
	size_bytes BIGINT NOT NULL, 
	state TEXT NOT NULL, 
	nonce TEXT, 
	draft_id INTEGER, 
	stored_at BIGINT, 
	condemned_at BIGINT, 
	md5 TEXT, 
	CONSTRAINT pk_blobs PRIMARY KEY (id), 
	CONSTRAINT fk_blobs_draft_id FOREIGN KEY(draft_id) REFERENCES drafts (id)
);
CREATE INDEX ix_blobs_draft_id ON blobs (draft_id);
CREATE TABLE run_files (
	run_id INTEGER NOT NULL, 
	path TEXT NOT NULL, 
	blob_id INTEGER NOT NULL, 
	updated_at BIGINT NOT NULL, 
	CONSTRAINT pk_run_files PRIMARY KEY (run_id, path), 
	CONSTRAINT fk_run_files_blob_id FOREIGN KEY(blob_id) REFERENCES blobs (id), 
	CONSTRAINT fk_run_files_run_id FOREIGN KEY(run_id) REFERENCES runs (id)
);
CREATE INDEX ix_run_files_blob_id ON run_files (blob_id);
CREATE TABLE segment_blobs (
	segment_id INTEGER NOT NULL, 
	blob_id INTEGER NOT NULL, 
	CONSTRAINT pk_segment_blobs PRIMARY KEY (segment_id, blob_id), 
	CONSTRAINT fk_segment_blobs_blob_id FOREIGN KEY(blob_id) REFERENCES blobs (id), 
	CONSTRAINT fk_segment_blobs_segment_id FOREIGN KEY(segment_id) REFERENCES segments (id)
)
 WITHOUT ROWID

;
CREATE INDEX ix_segment_blobs_blob_id ON segment_blobs (blob_id);
CREATE TABLE deletions (
	id INTEGER NOT NULL, 
	what TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	deleted_by TEXT NOT NULL, 
	deleted_at BIGINT NOT NULL, 
	restored_at BIGINT, 
	CONSTRAINT pk_deletions PRIMARY KEY (id)
);
CREATE INDEX ix_deletions_deleted_at ON deletions (deleted_at);
CREATE INDEX ix_versions_deletion_id ON versions (deletion_id);
CREATE INDEX ix_blobs_condemned ON blobs (digest) WHERE state = 'condemned';
CREATE TABLE redirects (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	project_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	target_id INTEGER NOT NULL, 
	created_at BIGINT NOT NULL, 
	CONSTRAINT pk_redirects PRIMARY KEY (id), 
	CONSTRAINT fk_redirects_project_id FOREIGN KEY(project_id) REFERENCES projects (id), 
	CONSTRAINT uq_redirects_project_id_kind_name UNIQUE (project_id, kind, name)
);
CREATE TABLE sweeps (
	id INTEGER NOT NULL, 
	project_id INTEGER NOT NULL, 
	sweep_id TEXT NOT NULL, 
	name TEXT NOT NULL, 
	description TEXT, 
	state TEXT NOT NULL, 
	document JSON NOT NULL, 
	next_number BIGINT DEFAULT 0 NOT NULL, 
	revision BIGINT DEFAULT 0 NOT NULL, 
	created_by TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	updated_at BIGINT NOT NULL, next_point BIGINT DEFAULT 0 NOT NULL, points_ahead JSON, 
	CONSTRAINT pk_sweeps PRIMARY KEY (id), 
	CONSTRAINT fk_sweeps_project_id FOREIGN KEY(project_id) REFERENCES projects (id), 
	CONSTRAINT uq_sweeps_project_id_sweep_id UNIQUE (project_id, sweep_id)
);
CREATE TABLE sweep_agents (
	id INTEGER NOT NULL, 
	sweep_id INTEGER NOT NULL, 
	name TEXT NOT NULL, 
	host TEXT NOT NULL, 
	created_at BIGINT NOT NULL, 
	heartbeat_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	CONSTRAINT pk_sweep_agents PRIMARY KEY (id), 
	CONSTRAINT fk_sweep_agents_sweep_id FOREIGN KEY(sweep_id) REFERENCES sweeps (id)
);
CREATE INDEX ix_sweep_agents_sweep_id ON sweep_agents (sweep_id);
CREATE TABLE trials (
	id INTEGER NOT NULL, 
	sweep_id INTEGER NOT NULL, 
	number BIGINT NOT NULL, 
	point JSON NOT NULL, 
	parameters JSON NOT NULL, 
	state TEXT NOT NULL, 
	run_id TEXT NOT NULL, 
	is_resumed BOOLEAN DEFAULT false NOT NULL, 
	agent_id INTEGER, 
	attempt INTEGER DEFAULT 0 NOT NULL, 
	lease_until BIGINT, 
	value FLOAT, 
	progress JSON, 
	created_at BIGINT NOT NULL, 
	ended_at BIGINT, 
	revision BIGINT NOT NULL, 
	CONSTRAINT pk_trials PRIMARY KEY (id), 
	CONSTRAINT fk_trials_agent_id FOREIGN KEY(agent_id) REFERENCES sweep_agents (id), 
	CONSTRAINT fk_trials_sweep_id FOREIGN KEY(sweep_id) REFERENCES sweeps (id), 
	CONSTRAINT uq_trials_sweep_id_number UNIQUE (sweep_id, number)
);
CREATE INDEX ix_trials_sweep_id_state ON trials (sweep_id, state);
CREATE INDEX ix_trials_sweep_id_revision ON trials (sweep_id, revision);
CREATE INDEX ix_trials_run_id ON trials (run_id);
CREATE TABLE derivations (
	version_id INTEGER NOT NULL, 
	source_id INTEGER NOT NULL, 
	CONSTRAINT pk_derivations PRIMARY KEY (version_id, source_id), 
	CONSTRAINT fk_derivations_version_id FOREIGN KEY(version_id) REFERENCES versions (id), 
	CONSTRAINT fk_derivations_source_id FOREIGN KEY(source_id) REFERENCES versions (id)
);
CREATE INDEX ix_derivations_source_id ON derivations (source_id);
CREATE INDEX ix_runs_deletion_id ON runs (deletion_id);
CREATE INDEX ix_drafts_version_id ON drafts (version_id);
CREATE INDEX ix_runs_project_id_sweep_id ON runs (project_id, sweep_id, created_at, id) WHERE sweep_id IS NOT NULL AND deleted_at IS NULL;
CREATE INDEX ix_edges_run_id_kind ON edges (run_id, kind);
CREATE INDEX ix_blobs_lost ON blobs (id) WHERE state = 'awaited' AND stored_at IS NOT NULL;
CREATE INDEX ix_runs_project_id_created_at ON runs (project_id, created_at, id, deleted_at, state, heartbeat_at, runtime_seconds, run_id, name, group_name, job_type, created_by, host) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX uq_blobs_digest_live ON blobs (digest) WHERE condemned_at IS NULL;
