-- ==== Third Rail in Snowflake

-- Made by `thirdrail snowflake ddl`; docs/snowflake.md goes through it statement by statement.
-- Run it as a role that may make databases, roles and users (ACCOUNTADMIN, or SYSADMIN + SECURITYADMIN), as often as you
-- like: nothing is dropped and no table or pipe is replaced. Upgrades: `thirdrail snowflake ddl --diff THIS_FILE`.
--
-- ENABLE_ICEBERG_STREAMING is not here and is not needed: it is a property of the *client* of the older streaming SDK
-- (Java, "classic"), not an option of a table. Channels through pipes write Iceberg tables without it.


-- ==== Who, and where

CREATE DATABASE IF NOT EXISTS MTA;

CREATE SCHEMA IF NOT EXISTS MTA.REALTIME;

CREATE ROLE IF NOT EXISTS THIRDRAIL_INGEST COMMENT = 'Third Rail: inserts, and nothing else';

CREATE ROLE IF NOT EXISTS THIRDRAIL_INGEST_READER COMMENT = 'Third Rail: reads tables and views';

-- TYPE = SERVICE: no password, no browser, no second factor; a key pair is all that it can use.
CREATE USER IF NOT EXISTS THIRDRAIL_SVC
  TYPE = SERVICE
  DEFAULT_ROLE = THIRDRAIL_INGEST
  COMMENT = 'Third Rail: signs in with a key alone';

-- The key pair is made where Third Rail runs; the private half never leaves it:
--   openssl genrsa 2048 | openssl pkcs8 -topk8 -v2 aes256 -inform PEM -out thirdrail_key.p8
--   openssl rsa -in thirdrail_key.p8 -pubout -out thirdrail_key.pub
--   grep -v PUBLIC thirdrail_key.pub | tr -d '\n'
-- snowflake.private_key_path = "thirdrail_key.p8", its passphrase in SNOWFLAKE_PRIVATE_KEY_PASSPHRASE.
-- `thirdrail snowflake ddl --public-key thirdrail_key.pub` writes the next statement with the key in it.
-- ALTER USER THIRDRAIL_SVC SET RSA_PUBLIC_KEY = '<the key: one line, without BEGIN and END>';

-- Another key without a pause (a user has two places for keys, and both are valid):
--   1. ALTER USER THIRDRAIL_SVC SET RSA_PUBLIC_KEY_2 = '<the new key>';
--   2. point snowflake.private_key_path to the new file and restart; `thirdrail snowflake doctor` shows its fingerprint
--   3. ALTER USER THIRDRAIL_SVC UNSET RSA_PUBLIC_KEY;
--   and the next time the other way round. DESC USER THIRDRAIL_SVC shows both fingerprints.

GRANT ROLE THIRDRAIL_INGEST TO USER THIRDRAIL_SVC;

-- So that administrators see the tables, as Snowflake advises.
GRANT ROLE THIRDRAIL_INGEST_READER TO ROLE SYSADMIN;


-- ==== Tables

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.TRIP_UPDATES (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    trip_key VARCHAR COMMENT 'identifies the trip: service date|trip id|train or vehicle id',
    trip_id VARCHAR COMMENT 'as sent',
    route_id_raw VARCHAR COMMENT 'as sent',
    route_id VARCHAR COMMENT 'effective: aliases resolved, else from the trip id',
    direction_id INT COMMENT 'as sent',
    start_date_raw VARCHAR COMMENT 'as sent',
    service_date DATE COMMENT 'service day in the agency''s zone',
    start_time VARCHAR COMMENT 'as sent; may exceed 24 h',
    schedule_relationship_raw VARCHAR COMMENT 'as sent',
    schedule_relationship VARCHAR NOT NULL COMMENT 'effective; absent means SCHEDULED',
    trip_origin_hundredths INT COMMENT 'subway: origin time in hundredths of a minute after midnight',
    trip_origin_at TIMESTAMP_LTZ(6) COMMENT 'subway: that time as an instant',
    trip_path VARCHAR COMMENT 'subway: the path part of the trip id',
    nyct_train_id VARCHAR COMMENT 'subway: the physical train',
    nyct_is_assigned BOOLEAN COMMENT 'subway: a train is attached; absent means false',
    nyct_direction_raw VARCHAR COMMENT 'as sent',
    nyct_direction VARCHAR COMMENT 'subway: effective; absent means NORTH',
    modified_trip_modifications_id VARCHAR COMMENT 'as sent',
    modified_trip_affected_trip_id VARCHAR COMMENT 'as sent',
    vehicle_id VARCHAR COMMENT 'as sent',
    vehicle_label VARCHAR COMMENT 'as sent',
    license_plate VARCHAR COMMENT 'as sent',
    wheelchair_accessible VARCHAR COMMENT 'as sent',
    vehicle_features ARRAY(VARCHAR) COMMENT 'bus: STROLLER, …',
    is_deleted BOOLEAN NOT NULL COMMENT 'as sent; absent means false',
    trip_update_at TIMESTAMP_LTZ(6) COMMENT 'as sent',
    delay_s INT COMMENT 'seconds late',
    stop_time_update_count INT NOT NULL COMMENT 'stops that are still listed',
    first_stop_id VARCHAR COMMENT 'the next stop of the list',
    last_stop_id VARCHAR COMMENT 'the last stop of the list',
    first_stop_time_at TIMESTAMP_LTZ(6) COMMENT 'arrival, else departure, at the next stop of the list',
    is_estimated BOOLEAN COMMENT 'bus: made from the timetable, no vehicle reports',
    trip_headsign VARCHAR COMMENT 'bus',
    trip_direction VARCHAR COMMENT 'bus',
    properties_trip_id VARCHAR COMMENT 'as sent',
    properties_start_date VARCHAR COMMENT 'as sent',
    properties_start_time VARCHAR COMMENT 'as sent',
    properties_shape_id VARCHAR COMMENT 'as sent',
    properties_trip_headsign VARCHAR COMMENT 'as sent',
    properties_trip_short_name VARCHAR COMMENT 'as sent',
    is_stale BOOLEAN COMMENT 'first stop time over 30 min before the header (M016)',
    is_zombie BOOLEAN COMMENT 'first stop time over 6 h before the header (M016)',
    is_stale_unassigned BOOLEAN COMMENT 'unassigned, first stop time over 5 min before the header (M029)',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'trips as predicted: one row per trip update that is new or differs from the feed''s previous picture';

ALTER TABLE MTA.REALTIME.TRIP_UPDATES SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.STOP_TIME_UPDATES (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    stu_index INT NOT NULL COMMENT 'place in the trip''s list, from 0',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    trip_key VARCHAR NOT NULL COMMENT 'identifies the trip',
    trip_id VARCHAR COMMENT 'as sent',
    route_id VARCHAR COMMENT 'effective',
    service_date DATE COMMENT 'service day in the agency''s zone',
    stop_sequence INT COMMENT 'as sent',
    stop_id VARCHAR COMMENT 'as sent',
    parent_stop_id VARCHAR COMMENT 'subway: the station, stop_id without N or S',
    stop_occurrence INT NOT NULL COMMENT 'nth visit of the stop, counted from the end of the list; without a stop id: its stop sequence',
    stops_to_end INT NOT NULL COMMENT 'stops of the list after this one',
    schedule_relationship_raw VARCHAR COMMENT 'as sent',
    schedule_relationship VARCHAR NOT NULL COMMENT 'effective; absent means SCHEDULED',
    arrival_at TIMESTAMP_LTZ(6) COMMENT 'absent and 0 mean unknown',
    departure_at TIMESTAMP_LTZ(6) COMMENT 'absent and 0 mean unknown',
    arrival_delay_s INT COMMENT 'as sent',
    departure_delay_s INT COMMENT 'as sent',
    arrival_uncertainty_s INT COMMENT 'as sent',
    departure_uncertainty_s INT COMMENT 'as sent',
    arrival_scheduled_at TIMESTAMP_LTZ(6) COMMENT 'as sent',
    departure_scheduled_at TIMESTAMP_LTZ(6) COMMENT 'as sent',
    departure_occupancy_status VARCHAR COMMENT 'as sent',
    scheduled_track VARCHAR COMMENT 'subway',
    actual_track VARCHAR COMMENT 'subway',
    rail_track VARCHAR COMMENT 'railroads',
    rail_train_status VARCHAR COMMENT 'railroads',
    assigned_stop_id VARCHAR COMMENT 'as sent',
    stop_headsign VARCHAR COMMENT 'as sent',
    pickup_type VARCHAR COMMENT 'as sent',
    drop_off_type VARCHAR COMMENT 'as sent',
    seconds_to_arrival INT COMMENT 'arrival, else departure, minus the header''s time',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'predictions per stop: one row per stop time update that is new or differs from the feed''s previous picture';

ALTER TABLE MTA.REALTIME.STOP_TIME_UPDATES SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.VEHICLE_POSITIONS (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    vehicle_key VARCHAR NOT NULL COMMENT 'vehicle id, else the trip key, else the entity id',
    trip_key VARCHAR COMMENT 'identifies the trip: service date|trip id|train or vehicle id',
    trip_id VARCHAR COMMENT 'as sent',
    route_id_raw VARCHAR COMMENT 'as sent',
    route_id VARCHAR COMMENT 'effective: aliases resolved, else from the trip id',
    direction_id INT COMMENT 'as sent',
    start_date_raw VARCHAR COMMENT 'as sent',
    service_date DATE COMMENT 'service day in the agency''s zone',
    start_time VARCHAR COMMENT 'as sent; may exceed 24 h',
    schedule_relationship_raw VARCHAR COMMENT 'as sent',
    schedule_relationship VARCHAR NOT NULL COMMENT 'effective; absent means SCHEDULED',
    trip_origin_hundredths INT COMMENT 'subway: origin time in hundredths of a minute after midnight',
    trip_origin_at TIMESTAMP_LTZ(6) COMMENT 'subway: that time as an instant',
    trip_path VARCHAR COMMENT 'subway: the path part of the trip id',
    nyct_train_id VARCHAR COMMENT 'subway: the physical train',
    nyct_is_assigned BOOLEAN COMMENT 'subway: a train is attached; absent means false',
    nyct_direction_raw VARCHAR COMMENT 'as sent',
    nyct_direction VARCHAR COMMENT 'subway: effective; absent means NORTH',
    modified_trip_modifications_id VARCHAR COMMENT 'as sent',
    modified_trip_affected_trip_id VARCHAR COMMENT 'as sent',
    vehicle_id VARCHAR COMMENT 'as sent',
    vehicle_label VARCHAR COMMENT 'as sent',
    license_plate VARCHAR COMMENT 'as sent',
    wheelchair_accessible VARCHAR COMMENT 'as sent',
    vehicle_features ARRAY(VARCHAR) COMMENT 'bus: STROLLER, …',
    is_deleted BOOLEAN NOT NULL COMMENT 'as sent; absent means false',
    latitude DOUBLE COMMENT 'degrees; none in the subway',
    longitude DOUBLE COMMENT 'degrees; none in the subway',
    bearing FLOAT COMMENT 'degrees clockwise from north',
    odometer_m DOUBLE COMMENT 'metres',
    speed_mps FLOAT COMMENT 'metres a second',
    current_stop_sequence INT COMMENT 'as sent',
    stop_id VARCHAR COMMENT 'stop that current_status speaks of; bus: the next',
    parent_stop_id VARCHAR COMMENT 'subway: the station',
    current_status_raw VARCHAR COMMENT 'as sent',
    current_status VARCHAR NOT NULL COMMENT 'effective; absent means IN_TRANSIT_TO',
    vehicle_at TIMESTAMP_LTZ(6) COMMENT 'subway: last movement, not the report',
    congestion_level VARCHAR COMMENT 'as sent; absent is no data',
    occupancy_status VARCHAR COMMENT 'as sent; absent is no data',
    occupancy_percentage INT COMMENT 'as sent',
    crowding_estimated_count INT COMMENT 'bus',
    crowding_estimated_capacity INT COMMENT 'bus',
    carriage_count INT NOT NULL COMMENT 'carriages described',
    vehicle_age_s INT COMMENT 'header''s time minus vehicle_at',
    is_stalled BOOLEAN COMMENT 'subway: no movement for over 90 s (M020)',
    is_underway BOOLEAN COMMENT 'vehicle_at is not over 60 s after the header (M021)',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'where each train or bus is: one row per vehicle that is new or differs from the feed''s previous picture';

ALTER TABLE MTA.REALTIME.VEHICLE_POSITIONS SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.VEHICLE_CARRIAGES (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    vehicle_key VARCHAR NOT NULL COMMENT 'the row of vehicle_positions that it belongs to',
    carriage_index INT NOT NULL COMMENT 'place in the vehicle''s list, from 0',
    carriage_id VARCHAR COMMENT 'as sent',
    carriage_label VARCHAR COMMENT 'as sent',
    occupancy_status VARCHAR COMMENT 'as sent; absent is no data',
    occupancy_percentage INT COMMENT 'as sent; -1 is no data',
    carriage_sequence INT COMMENT '1 is the first car',
    bicycles_allowed INT COMMENT 'railroads: how many; -1 no limit',
    carriage_class VARCHAR COMMENT 'railroads',
    quiet_carriage VARCHAR COMMENT 'railroads',
    toilet_facilities VARCHAR COMMENT 'railroads',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'the cars of a train, where the feed tells them: one row per car that is new or differs';

ALTER TABLE MTA.REALTIME.VEHICLE_CARRIAGES SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.TRIP_REPLACEMENT_PERIODS (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place in the header''s list, from 0',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    route_id VARCHAR NOT NULL COMMENT 'as sent',
    start_at TIMESTAMP_LTZ(6) COMMENT 'absent means now',
    end_after_header_s LONG COMMENT 'end minus the header''s time',
    end_at TIMESTAMP_LTZ(6) COMMENT 'end as sent',
    end_at_effective TIMESTAMP_LTZ(6) COMMENT 'end, or 30 min after the header when that is not later',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'subway: routes whose trips in the feed replace the timetable until a time';

ALTER TABLE MTA.REALTIME.TRIP_REPLACEMENT_PERIODS SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.ALERTS (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    alert_id VARCHAR NOT NULL COMMENT 'as sent',
    alert_version_id VARCHAR NOT NULL COMMENT 'identifies what the alert says: digest of id and content',
    alert_stable_id VARCHAR NOT NULL COMMENT 'the id without the rank suffix, which changes with the status',
    alert_rank_suffix INT COMMENT 'the fourth part of a Mercury id',
    alert_class VARCHAR NOT NULL COMMENT 'alert, planned_work, elevator or other',
    is_deleted BOOLEAN NOT NULL COMMENT 'as sent; absent means false',
    cause_raw VARCHAR COMMENT 'as sent',
    cause VARCHAR NOT NULL COMMENT 'effective; absent means UNKNOWN_CAUSE',
    effect_raw VARCHAR COMMENT 'as sent',
    effect VARCHAR NOT NULL COMMENT 'effective; absent means UNKNOWN_EFFECT',
    severity_level VARCHAR NOT NULL COMMENT 'effective; absent means UNKNOWN_SEVERITY',
    alert_type VARCHAR COMMENT 'Mercury: free text such as Delays',
    alert_type_rank INT COMMENT '1 (No Scheduled Service) to 35 (Suspended); null for a type not in the table',
    mercury_created_at TIMESTAMP_LTZ(6) COMMENT 'Mercury',
    mercury_updated_at TIMESTAMP_LTZ(6) COMMENT 'Mercury: last touch; alone it makes no new version',
    display_before_active_s LONG COMMENT 'may be shown that long before it starts',
    directionality LONG COMMENT 'as sent',
    service_plan_numbers ARRAY(VARCHAR) COMMENT 'as sent',
    general_order_numbers ARRAY(VARCHAR) COMMENT 'as sent',
    no_affected_stations BOOLEAN COMMENT 'as sent',
    clone_id VARCHAR COMMENT 'as sent',
    header_text VARCHAR COMMENT 'English, plain; all languages are in alert_translations',
    description_text VARCHAR COMMENT 'English, plain',
    human_readable_active_period VARCHAR COMMENT 'English, plain',
    url VARCHAR COMMENT 'the first',
    active_period_count INT NOT NULL COMMENT 'rows in alert_active_periods',
    informed_entity_count INT NOT NULL COMMENT 'rows in alert_informed_entities',
    translation_count INT NOT NULL COMMENT 'rows in alert_translations',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'service alerts: one row per alert that is new or says something else than in the feed''s previous picture';

ALTER TABLE MTA.REALTIME.ALERTS SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.ALERT_ACTIVE_PERIODS (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    alert_id VARCHAR NOT NULL COMMENT 'as sent',
    alert_version_id VARCHAR NOT NULL COMMENT 'identifies what the alert says: digest of id and content',
    period_index INT NOT NULL COMMENT 'place in the list, from 0',
    start_at TIMESTAMP_LTZ(6) COMMENT 'absent: from the beginning',
    end_at TIMESTAMP_LTZ(6) COMMENT 'absent: until further notice',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'when alerts hold: one row per period of an alert''s version; without any, it holds as long as it is published';

ALTER TABLE MTA.REALTIME.ALERT_ACTIVE_PERIODS SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.ALERT_INFORMED_ENTITIES (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    alert_id VARCHAR NOT NULL COMMENT 'as sent',
    alert_version_id VARCHAR NOT NULL COMMENT 'identifies what the alert says: digest of id and content',
    entity_role VARCHAR NOT NULL COMMENT 'informed, affected_station or station_alternative',
    entity_index INT NOT NULL COMMENT 'place among the alert''s selectors, from 0',
    agency_id VARCHAR COMMENT 'MTASBWY, MTA NYCT, MTABC, LI, MNR, …',
    route_id VARCHAR COMMENT 'as sent',
    route_type INT COMMENT 'as in GTFS',
    trip_id VARCHAR COMMENT 'as sent',
    trip_start_date VARCHAR COMMENT 'as sent',
    trip_start_time VARCHAR COMMENT 'as sent',
    trip_route_id VARCHAR COMMENT 'as sent',
    trip_direction_id INT COMMENT 'as sent',
    stop_id VARCHAR COMMENT 'as sent; a station in the subway',
    direction_id INT COMMENT '0 north, 1 south in the subway; absent both',
    sort_order VARCHAR COMMENT 'AGENCY:ROUTE:PRIORITY',
    sort_priority INT COMMENT 'its third part: the more, the worse',
    elevator_id VARCHAR COMMENT 'as sent',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'whom alerts concern: one row per selector of an alert''s version; an alert concerns whatever fits any of its rows';

ALTER TABLE MTA.REALTIME.ALERT_INFORMED_ENTITIES SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.ALERT_TRANSLATIONS (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    alert_id VARCHAR NOT NULL COMMENT 'as sent',
    alert_version_id VARCHAR NOT NULL COMMENT 'identifies what the alert says: digest of id and content',
    field VARCHAR NOT NULL COMMENT 'header_text, description_text, url, screens_summary, …',
    translation_index INT NOT NULL COMMENT 'place among the alert''s texts, from 0',
    language VARCHAR COMMENT 'en, en-html, …',
    text VARCHAR NOT NULL COMMENT 'as sent; route bullets are in brackets',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'the words of alerts: one row per text and language of an alert''s version';

ALTER TABLE MTA.REALTIME.ALERT_TRANSLATIONS SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.ELEVATOR_OUTAGES (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    equipment_id VARCHAR NOT NULL COMMENT 'as sent: EL290X, ES…',
    outage_at_raw VARCHAR NOT NULL COMMENT 'as sent: local time of New York',
    outage_at TIMESTAMP_LTZ(6) COMMENT 'since when',
    estimated_return_raw VARCHAR COMMENT 'as sent',
    estimated_return_at TIMESTAMP_LTZ(6) COMMENT 'until when, by the MTA''s estimate',
    equipment_type VARCHAR COMMENT 'EL elevator, ES escalator',
    station_name VARCHAR COMMENT 'as sent',
    borough VARCHAR COMMENT 'as sent',
    train_lines ARRAY(VARCHAR) COMMENT 'as sent, taken apart at the slashes',
    serving VARCHAR COMMENT 'from where to where',
    is_ada BOOLEAN COMMENT 'part of an accessible way',
    reason VARCHAR COMMENT 'as sent',
    is_upcoming BOOLEAN NOT NULL COMMENT 'planned, not yet out of service',
    is_maintenance BOOLEAN COMMENT 'as sent; no longer used by the MTA',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'elevators and escalators out of service, now or soon: one row per outage that is new or differs';

ALTER TABLE MTA.REALTIME.ELEVATOR_OUTAGES SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.ELEVATOR_EQUIPMENT (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    equipment_id VARCHAR NOT NULL COMMENT 'as sent',
    equipment_type VARCHAR COMMENT 'EL elevator, ES escalator',
    station_name VARCHAR COMMENT 'as sent',
    borough VARCHAR COMMENT 'as sent',
    station_complex_id VARCHAR COMMENT 'as sent',
    station_mrns ARRAY(VARCHAR) COMMENT 'taken apart at the slashes',
    gtfs_stop_ids ARRAY(VARCHAR) COMMENT 'stations of the subway''s GTFS',
    train_lines ARRAY(VARCHAR) COMMENT 'taken apart at the slashes',
    lines_served ARRAY(VARCHAR) COMMENT 'taken apart at the slashes',
    serving VARCHAR COMMENT 'from where to where',
    short_description VARCHAR COMMENT 'as sent',
    is_ada BOOLEAN COMMENT 'part of an accessible way',
    is_active BOOLEAN COMMENT 'as sent',
    is_non_nyct BOOLEAN COMMENT 'looked after by somebody else',
    next_ada_north_mrn VARCHAR COMMENT 'next accessible station northbound',
    next_ada_south_mrn VARCHAR COMMENT 'next accessible station southbound',
    redundant INT COMMENT 'others that serve the same way',
    bus_connections VARCHAR COMMENT 'as sent',
    alternative_route VARCHAR COMMENT 'how to go without it',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'every elevator and escalator: one row per piece that is new or differs';

ALTER TABLE MTA.REALTIME.ELEVATOR_EQUIPMENT SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.SIRI_VEHICLE_ACTIVITY (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    source_api VARCHAR NOT NULL COMMENT 'vehicle_monitoring, stop_monitoring or flat',
    response_at TIMESTAMP_LTZ(6) COMMENT 'time of the answer',
    valid_until_at TIMESTAMP_LTZ(6) COMMENT 'as sent',
    recorded_at TIMESTAMP_LTZ(6) COMMENT 'the vehicle''s last report',
    vehicle_ref VARCHAR COMMENT 'as sent: MTA NYCT_7582',
    dated_vehicle_journey_ref VARCHAR COMMENT 'as sent: agency_trip',
    vehicle_id VARCHAR COMMENT 'vehicle_ref without its agency',
    trip_key VARCHAR COMMENT 'service date|trip|vehicle_ref',
    trip_id VARCHAR COMMENT 'as in GTFS: the journey without its agency',
    service_date DATE COMMENT 'as sent',
    line_ref VARCHAR COMMENT 'as sent: MTA NYCT_B63',
    agency_id VARCHAR COMMENT 'of line_ref',
    route_id VARCHAR COMMENT 'line_ref without its agency',
    direction_ref INT COMMENT 'as sent',
    journey_pattern_ref VARCHAR COMMENT 'as sent: the shape',
    published_line_name VARCHAR COMMENT 'as sent',
    operator_ref VARCHAR COMMENT 'as sent',
    origin_ref VARCHAR COMMENT 'as sent',
    destination_ref VARCHAR COMMENT 'version 1 never sends it',
    destination_name VARCHAR COMMENT 'as sent',
    origin_aimed_departure_at TIMESTAMP_LTZ(6) COMMENT 'only in a layover or on the trip before',
    situation_refs ARRAY(VARCHAR) COMMENT 'rows of siri_situations',
    monitored BOOLEAN COMMENT 'as sent',
    longitude DOUBLE COMMENT 'degrees; snapped to the route',
    latitude DOUBLE COMMENT 'degrees; snapped to the route',
    bearing_raw DOUBLE COMMENT 'as sent: degrees counter-clockwise from east',
    bearing_compass DOUBLE COMMENT 'degrees clockwise from north',
    progress_rate VARCHAR COMMENT 'normalProgress, noProgress, unknown',
    progress_status ARRAY(VARCHAR) COMMENT 'layover, prevTrip, spooking; sorted',
    is_spooking BOOLEAN NOT NULL COMMENT 'made from the timetable, no vehicle reports',
    occupancy VARCHAR COMMENT 'seatsAvailable, standingAvailable, full',
    block_ref VARCHAR COMMENT 'only if formally assigned',
    stroller_vehicle BOOLEAN COMMENT 'as sent',
    monitored_visit VARCHAR NOT NULL COMMENT 'stop monitoring: the visit asked about, stop|nth; else empty',
    call_stop_point_ref VARCHAR COMMENT 'as sent: MTA_308214',
    call_stop_point_name VARCHAR COMMENT 'as sent',
    call_visit_number INT COMMENT 'nth visit of the stop, from 1',
    call_aimed_arrival_at TIMESTAMP_LTZ(6) COMMENT 'by the timetable',
    call_aimed_departure_at TIMESTAMP_LTZ(6) COMMENT 'by the timetable',
    call_expected_arrival_at TIMESTAMP_LTZ(6) COMMENT 'predicted',
    call_expected_departure_at TIMESTAMP_LTZ(6) COMMENT 'predicted',
    call_arrival_status VARCHAR COMMENT 'onTime, cancelled, …',
    call_departure_status VARCHAR COMMENT 'as sent',
    call_presentable_distance VARCHAR COMMENT 'for a display: approaching, at stop, 0.5 miles away',
    call_distance_m DOUBLE COMMENT 'metres to the stop',
    call_stops_away INT COMMENT 'stops to the stop',
    call_distance_along_route_m DOUBLE COMMENT 'metres from the route''s beginning to the stop; version 1 alone',
    call_passenger_count INT COMMENT 'estimated',
    call_passenger_capacity INT COMMENT 'estimated',
    call_passenger_load_factor VARCHAR COMMENT 'manySeatsAvailable, …',
    expected_is_sentinel BOOLEAN COMMENT 'expected arrival lay in the past and was sent as the answer''s time + 1 s',
    onward_call_count INT NOT NULL COMMENT 'rows in siri_onward_calls',
    stop_point VARCHAR COMMENT 'flat records: as sent',
    source_record_id VARCHAR COMMENT 'flat records: uuid',
    source_date VARCHAR COMMENT 'flat records: date of the answer that held it, as sent',
    source_ts LONG COMMENT 'flat records: ts, milliseconds since 1970',
    source_ingested_at TIMESTAMP_LTZ(6) COMMENT 'flat records: ingestion_time',
    source_system VARCHAR COMMENT 'flat records: as sent',
    source_processing_status VARCHAR COMMENT 'flat records: as sent',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'buses as SIRI tells them: one row per vehicle and journey that is new or differs';

ALTER TABLE MTA.REALTIME.SIRI_VEHICLE_ACTIVITY SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.SIRI_ONWARD_CALLS (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    call_order INT NOT NULL COMMENT 'place in the list, from 0',
    vehicle_ref VARCHAR COMMENT 'as sent: MTA NYCT_7582',
    dated_vehicle_journey_ref VARCHAR COMMENT 'as sent: agency_trip',
    calls_to_end INT NOT NULL COMMENT 'calls of the list after this one',
    stop_point_ref VARCHAR COMMENT 'as sent: MTA_308214',
    stop_point_name VARCHAR COMMENT 'as sent',
    visit_number INT COMMENT 'nth visit of the stop, from 1',
    aimed_arrival_at TIMESTAMP_LTZ(6) COMMENT 'by the timetable',
    aimed_departure_at TIMESTAMP_LTZ(6) COMMENT 'by the timetable',
    expected_arrival_at TIMESTAMP_LTZ(6) COMMENT 'predicted',
    expected_departure_at TIMESTAMP_LTZ(6) COMMENT 'predicted',
    arrival_status VARCHAR COMMENT 'onTime, cancelled, …',
    departure_status VARCHAR COMMENT 'as sent',
    presentable_distance VARCHAR COMMENT 'for a display: approaching, at stop, 0.5 miles away',
    distance_m DOUBLE COMMENT 'metres to the stop',
    stops_away INT COMMENT 'stops to the stop',
    distance_along_route_m DOUBLE COMMENT 'metres from the route''s beginning to the stop; version 1 alone',
    passenger_count INT COMMENT 'estimated',
    passenger_capacity INT COMMENT 'estimated',
    passenger_load_factor VARCHAR COMMENT 'manySeatsAvailable, …',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'the stops ahead of each bus: one row per call that is new or differs';

ALTER TABLE MTA.REALTIME.SIRI_ONWARD_CALLS SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.SIRI_SITUATIONS (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    entity_ordinal INT NOT NULL COMMENT 'place of the entity in its message, from 0',
    entity_id VARCHAR COMMENT 'not stable for the subway',
    change_kind VARCHAR NOT NULL COMMENT 'added, changed, repeated (a full picture), removed, restored; observed or unaccepted when every poll is kept',
    removed_reason VARCHAR COMMENT 'left or quarantined, of a removed row',
    restored_by_offset LONG COMMENT 'offset of the replay order that restored the row',
    situation_number VARCHAR NOT NULL COMMENT 'as sent',
    created_at TIMESTAMP_LTZ(6) COMMENT 'as sent',
    publication_start_at TIMESTAMP_LTZ(6) COMMENT 'as sent',
    publication_end_at TIMESTAMP_LTZ(6) COMMENT 'as sent',
    severity VARCHAR COMMENT 'as sent',
    summary VARCHAR COMMENT 'as sent',
    description VARCHAR COMMENT 'as sent',
    conditions ARRAY(VARCHAR) COMMENT 'altered, diverted, …',
    line_refs ARRAY(VARCHAR) COMMENT 'lines concerned',
    direction_refs ARRAY(VARCHAR) COMMENT 'their directions, in the same order',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'service alerts as SIRI tells them: one row per situation that is new or differs';

ALTER TABLE MTA.REALTIME.SIRI_SITUATIONS SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.QUARANTINE (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    quarantine_id VARCHAR NOT NULL COMMENT 'stable: the same refusal always has the same id',
    level VARCHAR NOT NULL COMMENT 'message, entity or row',
    target_table VARCHAR COMMENT 'the table the row would have gone to',
    entity_ordinal INT COMMENT 'place of the entity in its message',
    place INT COMMENT 'place in the entity',
    entity_id VARCHAR COMMENT 'as sent',
    row_key VARCHAR COMMENT 'the key that the row would have had',
    rule_ids ARRAY(VARCHAR) NOT NULL COMMENT 'every rule that refuses it',
    primary_rule_id VARCHAR NOT NULL COMMENT 'the first of them',
    reason VARCHAR NOT NULL COMMENT 'for a person',
    payload_format VARCHAR COMMENT 'json (the row) or base64 (the bytes)',
    payload VARCHAR COMMENT 'at most 16 kB of it',
    payload_truncated BOOLEAN NOT NULL COMMENT 'more than that was there',
    body_sha256 VARCHAR COMMENT 'digest of the capture''s body',
    restored_by_offset LONG COMMENT 'the replay order that judged it again and let it pass'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'what was refused, whole, with the reason and where it came from';

ALTER TABLE MTA.REALTIME.QUARANTINE SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.FEED_MESSAGES (
    feed_id VARCHAR NOT NULL COMMENT 'the feed this was published in',
    capture_log VARCHAR NOT NULL COMMENT 'the log that holds the capture',
    capture_offset LONG NOT NULL COMMENT 'the capture''s place in that log',
    origin VARCHAR NOT NULL COMMENT 'live, or the replay run that brought it',
    fetched_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when our request began',
    feed_timestamp TIMESTAMP_LTZ(6) COMMENT 'time of the feed''s header',
    pipeline_version INT NOT NULL COMMENT 'version of the code that made the row',
    feed_family VARCHAR NOT NULL COMMENT 'subway, lirr, mnr, bus, …',
    source_url VARCHAR NOT NULL COMMENT 'key redacted',
    received_at TIMESTAMP_LTZ(6) COMMENT 'last byte',
    http_status INT COMMENT 'none on a network error',
    outcome VARCHAR NOT NULL COMMENT 'ok, duplicate, hollow, rejected, decode_error, bad_body, http_error, …',
    error_class VARCHAR COMMENT 'what failed',
    error_detail VARCHAR COMMENT 'redacted, at most 500 characters',
    content_type VARCHAR COMMENT 'as sent',
    content_encoding VARCHAR COMMENT 'as sent',
    body_bytes LONG COMMENT 'decompressed',
    wire_bytes LONG COMMENT 'as transferred',
    body_sha256 VARCHAR COMMENT 'digest of the body',
    duplicate_of_offset LONG COMMENT 'the capture whose body was received again',
    fetch_duration_ms INT COMMENT 'request to last byte',
    attempt INT NOT NULL COMMENT '1-based',
    gtfs_realtime_version VARCHAR COMMENT 'as sent',
    incrementality VARCHAR COMMENT 'effective',
    feed_version VARCHAR COMMENT 'as sent',
    nyct_subway_version VARCHAR COMMENT 'as sent',
    entity_count INT COMMENT 'entities in the message',
    trip_update_count INT COMMENT 'of them with a trip update',
    stop_time_update_count INT COMMENT 'stop time updates in them',
    vehicle_count INT COMMENT 'with a vehicle position',
    alert_count INT COMMENT 'with an alert',
    other_entity_count INT COMMENT 'with none of these, or deleted',
    header_age_s DOUBLE COMMENT 'fetched_at minus the header''s time',
    accepted BOOLEAN NOT NULL COMMENT 'its picture counts: not hollow, not older than one already seen',
    is_full_picture BOOLEAN NOT NULL COMMENT 'every row of the picture was written',
    base_capture_offset LONG COMMENT 'the capture whose picture this one was compared with',
    quarantined_count INT NOT NULL COMMENT 'messages, entities and rows refused',
    finding_count INT NOT NULL COMMENT 'findings that refused nothing',
    rule_counts ARRAY(VARCHAR) NOT NULL COMMENT 'RULE=findings, sorted',
    trip_updates_passed INT NOT NULL COMMENT 'trip_updates: rows of the picture that passed the gate',
    trip_updates_quarantined INT NOT NULL COMMENT 'trip_updates: rows that the gate refused',
    trip_updates_written INT NOT NULL COMMENT 'trip_updates: rows written for this capture, removal markers left out',
    trip_updates_removed INT NOT NULL COMMENT 'trip_updates: removal markers written',
    stop_time_updates_passed INT NOT NULL COMMENT 'stop_time_updates: rows of the picture that passed the gate',
    stop_time_updates_quarantined INT NOT NULL COMMENT 'stop_time_updates: rows that the gate refused',
    stop_time_updates_written INT NOT NULL COMMENT 'stop_time_updates: rows written for this capture, removal markers left out',
    stop_time_updates_removed INT NOT NULL COMMENT 'stop_time_updates: removal markers written',
    vehicle_positions_passed INT NOT NULL COMMENT 'vehicle_positions: rows of the picture that passed the gate',
    vehicle_positions_quarantined INT NOT NULL COMMENT 'vehicle_positions: rows that the gate refused',
    vehicle_positions_written INT NOT NULL COMMENT 'vehicle_positions: rows written for this capture, removal markers left out',
    vehicle_positions_removed INT NOT NULL COMMENT 'vehicle_positions: removal markers written',
    vehicle_carriages_passed INT NOT NULL COMMENT 'vehicle_carriages: rows of the picture that passed the gate',
    vehicle_carriages_quarantined INT NOT NULL COMMENT 'vehicle_carriages: rows that the gate refused',
    vehicle_carriages_written INT NOT NULL COMMENT 'vehicle_carriages: rows written for this capture, removal markers left out',
    vehicle_carriages_removed INT NOT NULL COMMENT 'vehicle_carriages: removal markers written',
    trip_replacement_periods_passed INT NOT NULL COMMENT 'trip_replacement_periods: rows of the picture that passed the gate',
    trip_replacement_periods_quarantined INT NOT NULL COMMENT 'trip_replacement_periods: rows that the gate refused',
    trip_replacement_periods_written INT NOT NULL COMMENT 'trip_replacement_periods: rows written for this capture, removal markers left out',
    trip_replacement_periods_removed INT NOT NULL COMMENT 'trip_replacement_periods: removal markers written',
    alerts_passed INT NOT NULL COMMENT 'alerts: rows of the picture that passed the gate',
    alerts_quarantined INT NOT NULL COMMENT 'alerts: rows that the gate refused',
    alerts_written INT NOT NULL COMMENT 'alerts: rows written for this capture, removal markers left out',
    alerts_removed INT NOT NULL COMMENT 'alerts: removal markers written',
    alert_active_periods_passed INT NOT NULL COMMENT 'alert_active_periods: rows of the picture that passed the gate',
    alert_active_periods_quarantined INT NOT NULL COMMENT 'alert_active_periods: rows that the gate refused',
    alert_active_periods_written INT NOT NULL COMMENT 'alert_active_periods: rows written for this capture, removal markers left out',
    alert_active_periods_removed INT NOT NULL COMMENT 'alert_active_periods: removal markers written',
    alert_informed_entities_passed INT NOT NULL COMMENT 'alert_informed_entities: rows of the picture that passed the gate',
    alert_informed_entities_quarantined INT NOT NULL COMMENT 'alert_informed_entities: rows that the gate refused',
    alert_informed_entities_written INT NOT NULL COMMENT 'alert_informed_entities: rows written for this capture, removal markers left out',
    alert_informed_entities_removed INT NOT NULL COMMENT 'alert_informed_entities: removal markers written',
    alert_translations_passed INT NOT NULL COMMENT 'alert_translations: rows of the picture that passed the gate',
    alert_translations_quarantined INT NOT NULL COMMENT 'alert_translations: rows that the gate refused',
    alert_translations_written INT NOT NULL COMMENT 'alert_translations: rows written for this capture, removal markers left out',
    alert_translations_removed INT NOT NULL COMMENT 'alert_translations: removal markers written',
    elevator_outages_passed INT NOT NULL COMMENT 'elevator_outages: rows of the picture that passed the gate',
    elevator_outages_quarantined INT NOT NULL COMMENT 'elevator_outages: rows that the gate refused',
    elevator_outages_written INT NOT NULL COMMENT 'elevator_outages: rows written for this capture, removal markers left out',
    elevator_outages_removed INT NOT NULL COMMENT 'elevator_outages: removal markers written',
    elevator_equipment_passed INT NOT NULL COMMENT 'elevator_equipment: rows of the picture that passed the gate',
    elevator_equipment_quarantined INT NOT NULL COMMENT 'elevator_equipment: rows that the gate refused',
    elevator_equipment_written INT NOT NULL COMMENT 'elevator_equipment: rows written for this capture, removal markers left out',
    elevator_equipment_removed INT NOT NULL COMMENT 'elevator_equipment: removal markers written',
    siri_vehicle_activity_passed INT NOT NULL COMMENT 'siri_vehicle_activity: rows of the picture that passed the gate',
    siri_vehicle_activity_quarantined INT NOT NULL COMMENT 'siri_vehicle_activity: rows that the gate refused',
    siri_vehicle_activity_written INT NOT NULL COMMENT 'siri_vehicle_activity: rows written for this capture, removal markers left out',
    siri_vehicle_activity_removed INT NOT NULL COMMENT 'siri_vehicle_activity: removal markers written',
    siri_onward_calls_passed INT NOT NULL COMMENT 'siri_onward_calls: rows of the picture that passed the gate',
    siri_onward_calls_quarantined INT NOT NULL COMMENT 'siri_onward_calls: rows that the gate refused',
    siri_onward_calls_written INT NOT NULL COMMENT 'siri_onward_calls: rows written for this capture, removal markers left out',
    siri_onward_calls_removed INT NOT NULL COMMENT 'siri_onward_calls: removal markers written',
    siri_situations_passed INT NOT NULL COMMENT 'siri_situations: rows of the picture that passed the gate',
    siri_situations_quarantined INT NOT NULL COMMENT 'siri_situations: rows that the gate refused',
    siri_situations_written INT NOT NULL COMMENT 'siri_situations: rows written for this capture, removal markers left out',
    siri_situations_removed INT NOT NULL COMMENT 'siri_situations: removal markers written',
    dq_flags ARRAY(VARCHAR) NOT NULL COMMENT 'ids of the rules that flag this row'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'one row per poll, whatever came of it; committed last, so a capture listed here is complete everywhere';

ALTER TABLE MTA.REALTIME.FEED_MESSAGES SET ERROR_LOGGING = TRUE;

CREATE ICEBERG TABLE IF NOT EXISTS MTA.REALTIME.THIRDRAIL_DOCTOR (
    run_id VARCHAR NOT NULL COMMENT 'one examination',
    row_number INT NOT NULL COMMENT 'from 0',
    sent_at TIMESTAMP_LTZ(6) NOT NULL COMMENT 'when it was sent, by the sender''s clock',
    note VARCHAR COMMENT 'who sent it',
    words ARRAY(VARCHAR) COMMENT 'a list, as the tables have them'
)
  CATALOG = 'SNOWFLAKE'
  EXTERNAL_VOLUME = 'SNOWFLAKE_MANAGED'
  ICEBERG_VERSION = 2
  DATA_RETENTION_TIME_IN_DAYS = 1
  COMMENT = 'what `thirdrail snowflake doctor` wrote to see whether a row arrives; it may be emptied at any time';

ALTER TABLE MTA.REALTIME.THIRDRAIL_DOCTOR SET ERROR_LOGGING = TRUE;


-- ==== Stage and pipes

CREATE STAGE IF NOT EXISTS MTA.REALTIME.THIRDRAIL_STAGE
  FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
  COMMENT = 'Third Rail: micro-batches on their way; each is removed when it is loaded';

CREATE PIPE IF NOT EXISTS MTA.REALTIME.TRIP_UPDATES_PIPE
  COMMENT = 'Third Rail: channels into trip_updates'
AS
COPY INTO MTA.REALTIME.TRIP_UPDATES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    trip_key,
    trip_id,
    route_id_raw,
    route_id,
    direction_id,
    start_date_raw,
    service_date,
    start_time,
    schedule_relationship_raw,
    schedule_relationship,
    trip_origin_hundredths,
    trip_origin_at,
    trip_path,
    nyct_train_id,
    nyct_is_assigned,
    nyct_direction_raw,
    nyct_direction,
    modified_trip_modifications_id,
    modified_trip_affected_trip_id,
    vehicle_id,
    vehicle_label,
    license_plate,
    wheelchair_accessible,
    vehicle_features,
    is_deleted,
    trip_update_at,
    delay_s,
    stop_time_update_count,
    first_stop_id,
    last_stop_id,
    first_stop_time_at,
    is_estimated,
    trip_headsign,
    trip_direction,
    properties_trip_id,
    properties_start_date,
    properties_start_time,
    properties_shape_id,
    properties_trip_headsign,
    properties_trip_short_name,
    is_stale,
    is_zombie,
    is_stale_unassigned,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:trip_key::VARCHAR,
    $1:trip_id::VARCHAR,
    $1:route_id_raw::VARCHAR,
    $1:route_id::VARCHAR,
    $1:direction_id::NUMBER(10,0),
    $1:start_date_raw::VARCHAR,
    $1:service_date::DATE,
    $1:start_time::VARCHAR,
    $1:schedule_relationship_raw::VARCHAR,
    $1:schedule_relationship::VARCHAR,
    $1:trip_origin_hundredths::NUMBER(10,0),
    $1:trip_origin_at::TIMESTAMP_LTZ(6),
    $1:trip_path::VARCHAR,
    $1:nyct_train_id::VARCHAR,
    $1:nyct_is_assigned::BOOLEAN,
    $1:nyct_direction_raw::VARCHAR,
    $1:nyct_direction::VARCHAR,
    $1:modified_trip_modifications_id::VARCHAR,
    $1:modified_trip_affected_trip_id::VARCHAR,
    $1:vehicle_id::VARCHAR,
    $1:vehicle_label::VARCHAR,
    $1:license_plate::VARCHAR,
    $1:wheelchair_accessible::VARCHAR,
    $1:vehicle_features::ARRAY(VARCHAR),
    $1:is_deleted::BOOLEAN,
    $1:trip_update_at::TIMESTAMP_LTZ(6),
    $1:delay_s::NUMBER(10,0),
    $1:stop_time_update_count::NUMBER(10,0),
    $1:first_stop_id::VARCHAR,
    $1:last_stop_id::VARCHAR,
    $1:first_stop_time_at::TIMESTAMP_LTZ(6),
    $1:is_estimated::BOOLEAN,
    $1:trip_headsign::VARCHAR,
    $1:trip_direction::VARCHAR,
    $1:properties_trip_id::VARCHAR,
    $1:properties_start_date::VARCHAR,
    $1:properties_start_time::VARCHAR,
    $1:properties_shape_id::VARCHAR,
    $1:properties_trip_headsign::VARCHAR,
    $1:properties_trip_short_name::VARCHAR,
    $1:is_stale::BOOLEAN,
    $1:is_zombie::BOOLEAN,
    $1:is_stale_unassigned::BOOLEAN,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.TRIP_UPDATES_FILES_PIPE
  COMMENT = 'Third Rail: staged files into trip_updates'
AS
COPY INTO MTA.REALTIME.TRIP_UPDATES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    trip_key,
    trip_id,
    route_id_raw,
    route_id,
    direction_id,
    start_date_raw,
    service_date,
    start_time,
    schedule_relationship_raw,
    schedule_relationship,
    trip_origin_hundredths,
    trip_origin_at,
    trip_path,
    nyct_train_id,
    nyct_is_assigned,
    nyct_direction_raw,
    nyct_direction,
    modified_trip_modifications_id,
    modified_trip_affected_trip_id,
    vehicle_id,
    vehicle_label,
    license_plate,
    wheelchair_accessible,
    vehicle_features,
    is_deleted,
    trip_update_at,
    delay_s,
    stop_time_update_count,
    first_stop_id,
    last_stop_id,
    first_stop_time_at,
    is_estimated,
    trip_headsign,
    trip_direction,
    properties_trip_id,
    properties_start_date,
    properties_start_time,
    properties_shape_id,
    properties_trip_headsign,
    properties_trip_short_name,
    is_stale,
    is_zombie,
    is_stale_unassigned,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:trip_key::VARCHAR,
    $1:trip_id::VARCHAR,
    $1:route_id_raw::VARCHAR,
    $1:route_id::VARCHAR,
    $1:direction_id::NUMBER(10,0),
    $1:start_date_raw::VARCHAR,
    $1:service_date::DATE,
    $1:start_time::VARCHAR,
    $1:schedule_relationship_raw::VARCHAR,
    $1:schedule_relationship::VARCHAR,
    $1:trip_origin_hundredths::NUMBER(10,0),
    $1:trip_origin_at::TIMESTAMP_LTZ(6),
    $1:trip_path::VARCHAR,
    $1:nyct_train_id::VARCHAR,
    $1:nyct_is_assigned::BOOLEAN,
    $1:nyct_direction_raw::VARCHAR,
    $1:nyct_direction::VARCHAR,
    $1:modified_trip_modifications_id::VARCHAR,
    $1:modified_trip_affected_trip_id::VARCHAR,
    $1:vehicle_id::VARCHAR,
    $1:vehicle_label::VARCHAR,
    $1:license_plate::VARCHAR,
    $1:wheelchair_accessible::VARCHAR,
    $1:vehicle_features::ARRAY(VARCHAR),
    $1:is_deleted::BOOLEAN,
    $1:trip_update_at::TIMESTAMP_LTZ(6),
    $1:delay_s::NUMBER(10,0),
    $1:stop_time_update_count::NUMBER(10,0),
    $1:first_stop_id::VARCHAR,
    $1:last_stop_id::VARCHAR,
    $1:first_stop_time_at::TIMESTAMP_LTZ(6),
    $1:is_estimated::BOOLEAN,
    $1:trip_headsign::VARCHAR,
    $1:trip_direction::VARCHAR,
    $1:properties_trip_id::VARCHAR,
    $1:properties_start_date::VARCHAR,
    $1:properties_start_time::VARCHAR,
    $1:properties_shape_id::VARCHAR,
    $1:properties_trip_headsign::VARCHAR,
    $1:properties_trip_short_name::VARCHAR,
    $1:is_stale::BOOLEAN,
    $1:is_zombie::BOOLEAN,
    $1:is_stale_unassigned::BOOLEAN,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/trip_updates/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.STOP_TIME_UPDATES_PIPE
  COMMENT = 'Third Rail: channels into stop_time_updates'
AS
COPY INTO MTA.REALTIME.STOP_TIME_UPDATES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    stu_index,
    change_kind,
    removed_reason,
    restored_by_offset,
    trip_key,
    trip_id,
    route_id,
    service_date,
    stop_sequence,
    stop_id,
    parent_stop_id,
    stop_occurrence,
    stops_to_end,
    schedule_relationship_raw,
    schedule_relationship,
    arrival_at,
    departure_at,
    arrival_delay_s,
    departure_delay_s,
    arrival_uncertainty_s,
    departure_uncertainty_s,
    arrival_scheduled_at,
    departure_scheduled_at,
    departure_occupancy_status,
    scheduled_track,
    actual_track,
    rail_track,
    rail_train_status,
    assigned_stop_id,
    stop_headsign,
    pickup_type,
    drop_off_type,
    seconds_to_arrival,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:stu_index::NUMBER(10,0),
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:trip_key::VARCHAR,
    $1:trip_id::VARCHAR,
    $1:route_id::VARCHAR,
    $1:service_date::DATE,
    $1:stop_sequence::NUMBER(10,0),
    $1:stop_id::VARCHAR,
    $1:parent_stop_id::VARCHAR,
    $1:stop_occurrence::NUMBER(10,0),
    $1:stops_to_end::NUMBER(10,0),
    $1:schedule_relationship_raw::VARCHAR,
    $1:schedule_relationship::VARCHAR,
    $1:arrival_at::TIMESTAMP_LTZ(6),
    $1:departure_at::TIMESTAMP_LTZ(6),
    $1:arrival_delay_s::NUMBER(10,0),
    $1:departure_delay_s::NUMBER(10,0),
    $1:arrival_uncertainty_s::NUMBER(10,0),
    $1:departure_uncertainty_s::NUMBER(10,0),
    $1:arrival_scheduled_at::TIMESTAMP_LTZ(6),
    $1:departure_scheduled_at::TIMESTAMP_LTZ(6),
    $1:departure_occupancy_status::VARCHAR,
    $1:scheduled_track::VARCHAR,
    $1:actual_track::VARCHAR,
    $1:rail_track::VARCHAR,
    $1:rail_train_status::VARCHAR,
    $1:assigned_stop_id::VARCHAR,
    $1:stop_headsign::VARCHAR,
    $1:pickup_type::VARCHAR,
    $1:drop_off_type::VARCHAR,
    $1:seconds_to_arrival::NUMBER(10,0),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.STOP_TIME_UPDATES_FILES_PIPE
  COMMENT = 'Third Rail: staged files into stop_time_updates'
AS
COPY INTO MTA.REALTIME.STOP_TIME_UPDATES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    stu_index,
    change_kind,
    removed_reason,
    restored_by_offset,
    trip_key,
    trip_id,
    route_id,
    service_date,
    stop_sequence,
    stop_id,
    parent_stop_id,
    stop_occurrence,
    stops_to_end,
    schedule_relationship_raw,
    schedule_relationship,
    arrival_at,
    departure_at,
    arrival_delay_s,
    departure_delay_s,
    arrival_uncertainty_s,
    departure_uncertainty_s,
    arrival_scheduled_at,
    departure_scheduled_at,
    departure_occupancy_status,
    scheduled_track,
    actual_track,
    rail_track,
    rail_train_status,
    assigned_stop_id,
    stop_headsign,
    pickup_type,
    drop_off_type,
    seconds_to_arrival,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:stu_index::NUMBER(10,0),
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:trip_key::VARCHAR,
    $1:trip_id::VARCHAR,
    $1:route_id::VARCHAR,
    $1:service_date::DATE,
    $1:stop_sequence::NUMBER(10,0),
    $1:stop_id::VARCHAR,
    $1:parent_stop_id::VARCHAR,
    $1:stop_occurrence::NUMBER(10,0),
    $1:stops_to_end::NUMBER(10,0),
    $1:schedule_relationship_raw::VARCHAR,
    $1:schedule_relationship::VARCHAR,
    $1:arrival_at::TIMESTAMP_LTZ(6),
    $1:departure_at::TIMESTAMP_LTZ(6),
    $1:arrival_delay_s::NUMBER(10,0),
    $1:departure_delay_s::NUMBER(10,0),
    $1:arrival_uncertainty_s::NUMBER(10,0),
    $1:departure_uncertainty_s::NUMBER(10,0),
    $1:arrival_scheduled_at::TIMESTAMP_LTZ(6),
    $1:departure_scheduled_at::TIMESTAMP_LTZ(6),
    $1:departure_occupancy_status::VARCHAR,
    $1:scheduled_track::VARCHAR,
    $1:actual_track::VARCHAR,
    $1:rail_track::VARCHAR,
    $1:rail_train_status::VARCHAR,
    $1:assigned_stop_id::VARCHAR,
    $1:stop_headsign::VARCHAR,
    $1:pickup_type::VARCHAR,
    $1:drop_off_type::VARCHAR,
    $1:seconds_to_arrival::NUMBER(10,0),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/stop_time_updates/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.VEHICLE_POSITIONS_PIPE
  COMMENT = 'Third Rail: channels into vehicle_positions'
AS
COPY INTO MTA.REALTIME.VEHICLE_POSITIONS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    vehicle_key,
    trip_key,
    trip_id,
    route_id_raw,
    route_id,
    direction_id,
    start_date_raw,
    service_date,
    start_time,
    schedule_relationship_raw,
    schedule_relationship,
    trip_origin_hundredths,
    trip_origin_at,
    trip_path,
    nyct_train_id,
    nyct_is_assigned,
    nyct_direction_raw,
    nyct_direction,
    modified_trip_modifications_id,
    modified_trip_affected_trip_id,
    vehicle_id,
    vehicle_label,
    license_plate,
    wheelchair_accessible,
    vehicle_features,
    is_deleted,
    latitude,
    longitude,
    bearing,
    odometer_m,
    speed_mps,
    current_stop_sequence,
    stop_id,
    parent_stop_id,
    current_status_raw,
    current_status,
    vehicle_at,
    congestion_level,
    occupancy_status,
    occupancy_percentage,
    crowding_estimated_count,
    crowding_estimated_capacity,
    carriage_count,
    vehicle_age_s,
    is_stalled,
    is_underway,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:vehicle_key::VARCHAR,
    $1:trip_key::VARCHAR,
    $1:trip_id::VARCHAR,
    $1:route_id_raw::VARCHAR,
    $1:route_id::VARCHAR,
    $1:direction_id::NUMBER(10,0),
    $1:start_date_raw::VARCHAR,
    $1:service_date::DATE,
    $1:start_time::VARCHAR,
    $1:schedule_relationship_raw::VARCHAR,
    $1:schedule_relationship::VARCHAR,
    $1:trip_origin_hundredths::NUMBER(10,0),
    $1:trip_origin_at::TIMESTAMP_LTZ(6),
    $1:trip_path::VARCHAR,
    $1:nyct_train_id::VARCHAR,
    $1:nyct_is_assigned::BOOLEAN,
    $1:nyct_direction_raw::VARCHAR,
    $1:nyct_direction::VARCHAR,
    $1:modified_trip_modifications_id::VARCHAR,
    $1:modified_trip_affected_trip_id::VARCHAR,
    $1:vehicle_id::VARCHAR,
    $1:vehicle_label::VARCHAR,
    $1:license_plate::VARCHAR,
    $1:wheelchair_accessible::VARCHAR,
    $1:vehicle_features::ARRAY(VARCHAR),
    $1:is_deleted::BOOLEAN,
    $1:latitude::DOUBLE,
    $1:longitude::DOUBLE,
    $1:bearing::FLOAT,
    $1:odometer_m::DOUBLE,
    $1:speed_mps::FLOAT,
    $1:current_stop_sequence::NUMBER(10,0),
    $1:stop_id::VARCHAR,
    $1:parent_stop_id::VARCHAR,
    $1:current_status_raw::VARCHAR,
    $1:current_status::VARCHAR,
    $1:vehicle_at::TIMESTAMP_LTZ(6),
    $1:congestion_level::VARCHAR,
    $1:occupancy_status::VARCHAR,
    $1:occupancy_percentage::NUMBER(10,0),
    $1:crowding_estimated_count::NUMBER(10,0),
    $1:crowding_estimated_capacity::NUMBER(10,0),
    $1:carriage_count::NUMBER(10,0),
    $1:vehicle_age_s::NUMBER(10,0),
    $1:is_stalled::BOOLEAN,
    $1:is_underway::BOOLEAN,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.VEHICLE_POSITIONS_FILES_PIPE
  COMMENT = 'Third Rail: staged files into vehicle_positions'
AS
COPY INTO MTA.REALTIME.VEHICLE_POSITIONS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    vehicle_key,
    trip_key,
    trip_id,
    route_id_raw,
    route_id,
    direction_id,
    start_date_raw,
    service_date,
    start_time,
    schedule_relationship_raw,
    schedule_relationship,
    trip_origin_hundredths,
    trip_origin_at,
    trip_path,
    nyct_train_id,
    nyct_is_assigned,
    nyct_direction_raw,
    nyct_direction,
    modified_trip_modifications_id,
    modified_trip_affected_trip_id,
    vehicle_id,
    vehicle_label,
    license_plate,
    wheelchair_accessible,
    vehicle_features,
    is_deleted,
    latitude,
    longitude,
    bearing,
    odometer_m,
    speed_mps,
    current_stop_sequence,
    stop_id,
    parent_stop_id,
    current_status_raw,
    current_status,
    vehicle_at,
    congestion_level,
    occupancy_status,
    occupancy_percentage,
    crowding_estimated_count,
    crowding_estimated_capacity,
    carriage_count,
    vehicle_age_s,
    is_stalled,
    is_underway,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:vehicle_key::VARCHAR,
    $1:trip_key::VARCHAR,
    $1:trip_id::VARCHAR,
    $1:route_id_raw::VARCHAR,
    $1:route_id::VARCHAR,
    $1:direction_id::NUMBER(10,0),
    $1:start_date_raw::VARCHAR,
    $1:service_date::DATE,
    $1:start_time::VARCHAR,
    $1:schedule_relationship_raw::VARCHAR,
    $1:schedule_relationship::VARCHAR,
    $1:trip_origin_hundredths::NUMBER(10,0),
    $1:trip_origin_at::TIMESTAMP_LTZ(6),
    $1:trip_path::VARCHAR,
    $1:nyct_train_id::VARCHAR,
    $1:nyct_is_assigned::BOOLEAN,
    $1:nyct_direction_raw::VARCHAR,
    $1:nyct_direction::VARCHAR,
    $1:modified_trip_modifications_id::VARCHAR,
    $1:modified_trip_affected_trip_id::VARCHAR,
    $1:vehicle_id::VARCHAR,
    $1:vehicle_label::VARCHAR,
    $1:license_plate::VARCHAR,
    $1:wheelchair_accessible::VARCHAR,
    $1:vehicle_features::ARRAY(VARCHAR),
    $1:is_deleted::BOOLEAN,
    $1:latitude::DOUBLE,
    $1:longitude::DOUBLE,
    $1:bearing::FLOAT,
    $1:odometer_m::DOUBLE,
    $1:speed_mps::FLOAT,
    $1:current_stop_sequence::NUMBER(10,0),
    $1:stop_id::VARCHAR,
    $1:parent_stop_id::VARCHAR,
    $1:current_status_raw::VARCHAR,
    $1:current_status::VARCHAR,
    $1:vehicle_at::TIMESTAMP_LTZ(6),
    $1:congestion_level::VARCHAR,
    $1:occupancy_status::VARCHAR,
    $1:occupancy_percentage::NUMBER(10,0),
    $1:crowding_estimated_count::NUMBER(10,0),
    $1:crowding_estimated_capacity::NUMBER(10,0),
    $1:carriage_count::NUMBER(10,0),
    $1:vehicle_age_s::NUMBER(10,0),
    $1:is_stalled::BOOLEAN,
    $1:is_underway::BOOLEAN,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/vehicle_positions/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.VEHICLE_CARRIAGES_PIPE
  COMMENT = 'Third Rail: channels into vehicle_carriages'
AS
COPY INTO MTA.REALTIME.VEHICLE_CARRIAGES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    vehicle_key,
    carriage_index,
    carriage_id,
    carriage_label,
    occupancy_status,
    occupancy_percentage,
    carriage_sequence,
    bicycles_allowed,
    carriage_class,
    quiet_carriage,
    toilet_facilities,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:vehicle_key::VARCHAR,
    $1:carriage_index::NUMBER(10,0),
    $1:carriage_id::VARCHAR,
    $1:carriage_label::VARCHAR,
    $1:occupancy_status::VARCHAR,
    $1:occupancy_percentage::NUMBER(10,0),
    $1:carriage_sequence::NUMBER(10,0),
    $1:bicycles_allowed::NUMBER(10,0),
    $1:carriage_class::VARCHAR,
    $1:quiet_carriage::VARCHAR,
    $1:toilet_facilities::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.VEHICLE_CARRIAGES_FILES_PIPE
  COMMENT = 'Third Rail: staged files into vehicle_carriages'
AS
COPY INTO MTA.REALTIME.VEHICLE_CARRIAGES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    vehicle_key,
    carriage_index,
    carriage_id,
    carriage_label,
    occupancy_status,
    occupancy_percentage,
    carriage_sequence,
    bicycles_allowed,
    carriage_class,
    quiet_carriage,
    toilet_facilities,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:vehicle_key::VARCHAR,
    $1:carriage_index::NUMBER(10,0),
    $1:carriage_id::VARCHAR,
    $1:carriage_label::VARCHAR,
    $1:occupancy_status::VARCHAR,
    $1:occupancy_percentage::NUMBER(10,0),
    $1:carriage_sequence::NUMBER(10,0),
    $1:bicycles_allowed::NUMBER(10,0),
    $1:carriage_class::VARCHAR,
    $1:quiet_carriage::VARCHAR,
    $1:toilet_facilities::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/vehicle_carriages/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.TRIP_REPLACEMENT_PERIODS_PIPE
  COMMENT = 'Third Rail: channels into trip_replacement_periods'
AS
COPY INTO MTA.REALTIME.TRIP_REPLACEMENT_PERIODS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    change_kind,
    removed_reason,
    restored_by_offset,
    route_id,
    start_at,
    end_after_header_s,
    end_at,
    end_at_effective,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:route_id::VARCHAR,
    $1:start_at::TIMESTAMP_LTZ(6),
    $1:end_after_header_s::NUMBER(19,0),
    $1:end_at::TIMESTAMP_LTZ(6),
    $1:end_at_effective::TIMESTAMP_LTZ(6),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.TRIP_REPLACEMENT_PERIODS_FILES_PIPE
  COMMENT = 'Third Rail: staged files into trip_replacement_periods'
AS
COPY INTO MTA.REALTIME.TRIP_REPLACEMENT_PERIODS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    change_kind,
    removed_reason,
    restored_by_offset,
    route_id,
    start_at,
    end_after_header_s,
    end_at,
    end_at_effective,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:route_id::VARCHAR,
    $1:start_at::TIMESTAMP_LTZ(6),
    $1:end_after_header_s::NUMBER(19,0),
    $1:end_at::TIMESTAMP_LTZ(6),
    $1:end_at_effective::TIMESTAMP_LTZ(6),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/trip_replacement_periods/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ALERTS_PIPE
  COMMENT = 'Third Rail: channels into alerts'
AS
COPY INTO MTA.REALTIME.ALERTS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    alert_id,
    alert_version_id,
    alert_stable_id,
    alert_rank_suffix,
    alert_class,
    is_deleted,
    cause_raw,
    cause,
    effect_raw,
    effect,
    severity_level,
    alert_type,
    alert_type_rank,
    mercury_created_at,
    mercury_updated_at,
    display_before_active_s,
    directionality,
    service_plan_numbers,
    general_order_numbers,
    no_affected_stations,
    clone_id,
    header_text,
    description_text,
    human_readable_active_period,
    url,
    active_period_count,
    informed_entity_count,
    translation_count,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:alert_id::VARCHAR,
    $1:alert_version_id::VARCHAR,
    $1:alert_stable_id::VARCHAR,
    $1:alert_rank_suffix::NUMBER(10,0),
    $1:alert_class::VARCHAR,
    $1:is_deleted::BOOLEAN,
    $1:cause_raw::VARCHAR,
    $1:cause::VARCHAR,
    $1:effect_raw::VARCHAR,
    $1:effect::VARCHAR,
    $1:severity_level::VARCHAR,
    $1:alert_type::VARCHAR,
    $1:alert_type_rank::NUMBER(10,0),
    $1:mercury_created_at::TIMESTAMP_LTZ(6),
    $1:mercury_updated_at::TIMESTAMP_LTZ(6),
    $1:display_before_active_s::NUMBER(19,0),
    $1:directionality::NUMBER(19,0),
    $1:service_plan_numbers::ARRAY(VARCHAR),
    $1:general_order_numbers::ARRAY(VARCHAR),
    $1:no_affected_stations::BOOLEAN,
    $1:clone_id::VARCHAR,
    $1:header_text::VARCHAR,
    $1:description_text::VARCHAR,
    $1:human_readable_active_period::VARCHAR,
    $1:url::VARCHAR,
    $1:active_period_count::NUMBER(10,0),
    $1:informed_entity_count::NUMBER(10,0),
    $1:translation_count::NUMBER(10,0),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ALERTS_FILES_PIPE
  COMMENT = 'Third Rail: staged files into alerts'
AS
COPY INTO MTA.REALTIME.ALERTS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    alert_id,
    alert_version_id,
    alert_stable_id,
    alert_rank_suffix,
    alert_class,
    is_deleted,
    cause_raw,
    cause,
    effect_raw,
    effect,
    severity_level,
    alert_type,
    alert_type_rank,
    mercury_created_at,
    mercury_updated_at,
    display_before_active_s,
    directionality,
    service_plan_numbers,
    general_order_numbers,
    no_affected_stations,
    clone_id,
    header_text,
    description_text,
    human_readable_active_period,
    url,
    active_period_count,
    informed_entity_count,
    translation_count,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:alert_id::VARCHAR,
    $1:alert_version_id::VARCHAR,
    $1:alert_stable_id::VARCHAR,
    $1:alert_rank_suffix::NUMBER(10,0),
    $1:alert_class::VARCHAR,
    $1:is_deleted::BOOLEAN,
    $1:cause_raw::VARCHAR,
    $1:cause::VARCHAR,
    $1:effect_raw::VARCHAR,
    $1:effect::VARCHAR,
    $1:severity_level::VARCHAR,
    $1:alert_type::VARCHAR,
    $1:alert_type_rank::NUMBER(10,0),
    $1:mercury_created_at::TIMESTAMP_LTZ(6),
    $1:mercury_updated_at::TIMESTAMP_LTZ(6),
    $1:display_before_active_s::NUMBER(19,0),
    $1:directionality::NUMBER(19,0),
    $1:service_plan_numbers::ARRAY(VARCHAR),
    $1:general_order_numbers::ARRAY(VARCHAR),
    $1:no_affected_stations::BOOLEAN,
    $1:clone_id::VARCHAR,
    $1:header_text::VARCHAR,
    $1:description_text::VARCHAR,
    $1:human_readable_active_period::VARCHAR,
    $1:url::VARCHAR,
    $1:active_period_count::NUMBER(10,0),
    $1:informed_entity_count::NUMBER(10,0),
    $1:translation_count::NUMBER(10,0),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/alerts/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ALERT_ACTIVE_PERIODS_PIPE
  COMMENT = 'Third Rail: channels into alert_active_periods'
AS
COPY INTO MTA.REALTIME.ALERT_ACTIVE_PERIODS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    alert_id,
    alert_version_id,
    period_index,
    start_at,
    end_at,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:alert_id::VARCHAR,
    $1:alert_version_id::VARCHAR,
    $1:period_index::NUMBER(10,0),
    $1:start_at::TIMESTAMP_LTZ(6),
    $1:end_at::TIMESTAMP_LTZ(6),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ALERT_ACTIVE_PERIODS_FILES_PIPE
  COMMENT = 'Third Rail: staged files into alert_active_periods'
AS
COPY INTO MTA.REALTIME.ALERT_ACTIVE_PERIODS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    alert_id,
    alert_version_id,
    period_index,
    start_at,
    end_at,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:alert_id::VARCHAR,
    $1:alert_version_id::VARCHAR,
    $1:period_index::NUMBER(10,0),
    $1:start_at::TIMESTAMP_LTZ(6),
    $1:end_at::TIMESTAMP_LTZ(6),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/alert_active_periods/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ALERT_INFORMED_ENTITIES_PIPE
  COMMENT = 'Third Rail: channels into alert_informed_entities'
AS
COPY INTO MTA.REALTIME.ALERT_INFORMED_ENTITIES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    alert_id,
    alert_version_id,
    entity_role,
    entity_index,
    agency_id,
    route_id,
    route_type,
    trip_id,
    trip_start_date,
    trip_start_time,
    trip_route_id,
    trip_direction_id,
    stop_id,
    direction_id,
    sort_order,
    sort_priority,
    elevator_id,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:alert_id::VARCHAR,
    $1:alert_version_id::VARCHAR,
    $1:entity_role::VARCHAR,
    $1:entity_index::NUMBER(10,0),
    $1:agency_id::VARCHAR,
    $1:route_id::VARCHAR,
    $1:route_type::NUMBER(10,0),
    $1:trip_id::VARCHAR,
    $1:trip_start_date::VARCHAR,
    $1:trip_start_time::VARCHAR,
    $1:trip_route_id::VARCHAR,
    $1:trip_direction_id::NUMBER(10,0),
    $1:stop_id::VARCHAR,
    $1:direction_id::NUMBER(10,0),
    $1:sort_order::VARCHAR,
    $1:sort_priority::NUMBER(10,0),
    $1:elevator_id::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ALERT_INFORMED_ENTITIES_FILES_PIPE
  COMMENT = 'Third Rail: staged files into alert_informed_entities'
AS
COPY INTO MTA.REALTIME.ALERT_INFORMED_ENTITIES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    alert_id,
    alert_version_id,
    entity_role,
    entity_index,
    agency_id,
    route_id,
    route_type,
    trip_id,
    trip_start_date,
    trip_start_time,
    trip_route_id,
    trip_direction_id,
    stop_id,
    direction_id,
    sort_order,
    sort_priority,
    elevator_id,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:alert_id::VARCHAR,
    $1:alert_version_id::VARCHAR,
    $1:entity_role::VARCHAR,
    $1:entity_index::NUMBER(10,0),
    $1:agency_id::VARCHAR,
    $1:route_id::VARCHAR,
    $1:route_type::NUMBER(10,0),
    $1:trip_id::VARCHAR,
    $1:trip_start_date::VARCHAR,
    $1:trip_start_time::VARCHAR,
    $1:trip_route_id::VARCHAR,
    $1:trip_direction_id::NUMBER(10,0),
    $1:stop_id::VARCHAR,
    $1:direction_id::NUMBER(10,0),
    $1:sort_order::VARCHAR,
    $1:sort_priority::NUMBER(10,0),
    $1:elevator_id::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/alert_informed_entities/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ALERT_TRANSLATIONS_PIPE
  COMMENT = 'Third Rail: channels into alert_translations'
AS
COPY INTO MTA.REALTIME.ALERT_TRANSLATIONS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    alert_id,
    alert_version_id,
    field,
    translation_index,
    language,
    text,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:alert_id::VARCHAR,
    $1:alert_version_id::VARCHAR,
    $1:field::VARCHAR,
    $1:translation_index::NUMBER(10,0),
    $1:language::VARCHAR,
    $1:text::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ALERT_TRANSLATIONS_FILES_PIPE
  COMMENT = 'Third Rail: staged files into alert_translations'
AS
COPY INTO MTA.REALTIME.ALERT_TRANSLATIONS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    alert_id,
    alert_version_id,
    field,
    translation_index,
    language,
    text,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:alert_id::VARCHAR,
    $1:alert_version_id::VARCHAR,
    $1:field::VARCHAR,
    $1:translation_index::NUMBER(10,0),
    $1:language::VARCHAR,
    $1:text::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/alert_translations/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ELEVATOR_OUTAGES_PIPE
  COMMENT = 'Third Rail: channels into elevator_outages'
AS
COPY INTO MTA.REALTIME.ELEVATOR_OUTAGES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    equipment_id,
    outage_at_raw,
    outage_at,
    estimated_return_raw,
    estimated_return_at,
    equipment_type,
    station_name,
    borough,
    train_lines,
    serving,
    is_ada,
    reason,
    is_upcoming,
    is_maintenance,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:equipment_id::VARCHAR,
    $1:outage_at_raw::VARCHAR,
    $1:outage_at::TIMESTAMP_LTZ(6),
    $1:estimated_return_raw::VARCHAR,
    $1:estimated_return_at::TIMESTAMP_LTZ(6),
    $1:equipment_type::VARCHAR,
    $1:station_name::VARCHAR,
    $1:borough::VARCHAR,
    $1:train_lines::ARRAY(VARCHAR),
    $1:serving::VARCHAR,
    $1:is_ada::BOOLEAN,
    $1:reason::VARCHAR,
    $1:is_upcoming::BOOLEAN,
    $1:is_maintenance::BOOLEAN,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ELEVATOR_OUTAGES_FILES_PIPE
  COMMENT = 'Third Rail: staged files into elevator_outages'
AS
COPY INTO MTA.REALTIME.ELEVATOR_OUTAGES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    equipment_id,
    outage_at_raw,
    outage_at,
    estimated_return_raw,
    estimated_return_at,
    equipment_type,
    station_name,
    borough,
    train_lines,
    serving,
    is_ada,
    reason,
    is_upcoming,
    is_maintenance,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:equipment_id::VARCHAR,
    $1:outage_at_raw::VARCHAR,
    $1:outage_at::TIMESTAMP_LTZ(6),
    $1:estimated_return_raw::VARCHAR,
    $1:estimated_return_at::TIMESTAMP_LTZ(6),
    $1:equipment_type::VARCHAR,
    $1:station_name::VARCHAR,
    $1:borough::VARCHAR,
    $1:train_lines::ARRAY(VARCHAR),
    $1:serving::VARCHAR,
    $1:is_ada::BOOLEAN,
    $1:reason::VARCHAR,
    $1:is_upcoming::BOOLEAN,
    $1:is_maintenance::BOOLEAN,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/elevator_outages/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ELEVATOR_EQUIPMENT_PIPE
  COMMENT = 'Third Rail: channels into elevator_equipment'
AS
COPY INTO MTA.REALTIME.ELEVATOR_EQUIPMENT (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    equipment_id,
    equipment_type,
    station_name,
    borough,
    station_complex_id,
    station_mrns,
    gtfs_stop_ids,
    train_lines,
    lines_served,
    serving,
    short_description,
    is_ada,
    is_active,
    is_non_nyct,
    next_ada_north_mrn,
    next_ada_south_mrn,
    redundant,
    bus_connections,
    alternative_route,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:equipment_id::VARCHAR,
    $1:equipment_type::VARCHAR,
    $1:station_name::VARCHAR,
    $1:borough::VARCHAR,
    $1:station_complex_id::VARCHAR,
    $1:station_mrns::ARRAY(VARCHAR),
    $1:gtfs_stop_ids::ARRAY(VARCHAR),
    $1:train_lines::ARRAY(VARCHAR),
    $1:lines_served::ARRAY(VARCHAR),
    $1:serving::VARCHAR,
    $1:short_description::VARCHAR,
    $1:is_ada::BOOLEAN,
    $1:is_active::BOOLEAN,
    $1:is_non_nyct::BOOLEAN,
    $1:next_ada_north_mrn::VARCHAR,
    $1:next_ada_south_mrn::VARCHAR,
    $1:redundant::NUMBER(10,0),
    $1:bus_connections::VARCHAR,
    $1:alternative_route::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.ELEVATOR_EQUIPMENT_FILES_PIPE
  COMMENT = 'Third Rail: staged files into elevator_equipment'
AS
COPY INTO MTA.REALTIME.ELEVATOR_EQUIPMENT (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    equipment_id,
    equipment_type,
    station_name,
    borough,
    station_complex_id,
    station_mrns,
    gtfs_stop_ids,
    train_lines,
    lines_served,
    serving,
    short_description,
    is_ada,
    is_active,
    is_non_nyct,
    next_ada_north_mrn,
    next_ada_south_mrn,
    redundant,
    bus_connections,
    alternative_route,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:equipment_id::VARCHAR,
    $1:equipment_type::VARCHAR,
    $1:station_name::VARCHAR,
    $1:borough::VARCHAR,
    $1:station_complex_id::VARCHAR,
    $1:station_mrns::ARRAY(VARCHAR),
    $1:gtfs_stop_ids::ARRAY(VARCHAR),
    $1:train_lines::ARRAY(VARCHAR),
    $1:lines_served::ARRAY(VARCHAR),
    $1:serving::VARCHAR,
    $1:short_description::VARCHAR,
    $1:is_ada::BOOLEAN,
    $1:is_active::BOOLEAN,
    $1:is_non_nyct::BOOLEAN,
    $1:next_ada_north_mrn::VARCHAR,
    $1:next_ada_south_mrn::VARCHAR,
    $1:redundant::NUMBER(10,0),
    $1:bus_connections::VARCHAR,
    $1:alternative_route::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/elevator_equipment/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.SIRI_VEHICLE_ACTIVITY_PIPE
  COMMENT = 'Third Rail: channels into siri_vehicle_activity'
AS
COPY INTO MTA.REALTIME.SIRI_VEHICLE_ACTIVITY (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    source_api,
    response_at,
    valid_until_at,
    recorded_at,
    vehicle_ref,
    dated_vehicle_journey_ref,
    vehicle_id,
    trip_key,
    trip_id,
    service_date,
    line_ref,
    agency_id,
    route_id,
    direction_ref,
    journey_pattern_ref,
    published_line_name,
    operator_ref,
    origin_ref,
    destination_ref,
    destination_name,
    origin_aimed_departure_at,
    situation_refs,
    monitored,
    longitude,
    latitude,
    bearing_raw,
    bearing_compass,
    progress_rate,
    progress_status,
    is_spooking,
    occupancy,
    block_ref,
    stroller_vehicle,
    monitored_visit,
    call_stop_point_ref,
    call_stop_point_name,
    call_visit_number,
    call_aimed_arrival_at,
    call_aimed_departure_at,
    call_expected_arrival_at,
    call_expected_departure_at,
    call_arrival_status,
    call_departure_status,
    call_presentable_distance,
    call_distance_m,
    call_stops_away,
    call_distance_along_route_m,
    call_passenger_count,
    call_passenger_capacity,
    call_passenger_load_factor,
    expected_is_sentinel,
    onward_call_count,
    stop_point,
    source_record_id,
    source_date,
    source_ts,
    source_ingested_at,
    source_system,
    source_processing_status,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:source_api::VARCHAR,
    $1:response_at::TIMESTAMP_LTZ(6),
    $1:valid_until_at::TIMESTAMP_LTZ(6),
    $1:recorded_at::TIMESTAMP_LTZ(6),
    $1:vehicle_ref::VARCHAR,
    $1:dated_vehicle_journey_ref::VARCHAR,
    $1:vehicle_id::VARCHAR,
    $1:trip_key::VARCHAR,
    $1:trip_id::VARCHAR,
    $1:service_date::DATE,
    $1:line_ref::VARCHAR,
    $1:agency_id::VARCHAR,
    $1:route_id::VARCHAR,
    $1:direction_ref::NUMBER(10,0),
    $1:journey_pattern_ref::VARCHAR,
    $1:published_line_name::VARCHAR,
    $1:operator_ref::VARCHAR,
    $1:origin_ref::VARCHAR,
    $1:destination_ref::VARCHAR,
    $1:destination_name::VARCHAR,
    $1:origin_aimed_departure_at::TIMESTAMP_LTZ(6),
    $1:situation_refs::ARRAY(VARCHAR),
    $1:monitored::BOOLEAN,
    $1:longitude::DOUBLE,
    $1:latitude::DOUBLE,
    $1:bearing_raw::DOUBLE,
    $1:bearing_compass::DOUBLE,
    $1:progress_rate::VARCHAR,
    $1:progress_status::ARRAY(VARCHAR),
    $1:is_spooking::BOOLEAN,
    $1:occupancy::VARCHAR,
    $1:block_ref::VARCHAR,
    $1:stroller_vehicle::BOOLEAN,
    $1:monitored_visit::VARCHAR,
    $1:call_stop_point_ref::VARCHAR,
    $1:call_stop_point_name::VARCHAR,
    $1:call_visit_number::NUMBER(10,0),
    $1:call_aimed_arrival_at::TIMESTAMP_LTZ(6),
    $1:call_aimed_departure_at::TIMESTAMP_LTZ(6),
    $1:call_expected_arrival_at::TIMESTAMP_LTZ(6),
    $1:call_expected_departure_at::TIMESTAMP_LTZ(6),
    $1:call_arrival_status::VARCHAR,
    $1:call_departure_status::VARCHAR,
    $1:call_presentable_distance::VARCHAR,
    $1:call_distance_m::DOUBLE,
    $1:call_stops_away::NUMBER(10,0),
    $1:call_distance_along_route_m::DOUBLE,
    $1:call_passenger_count::NUMBER(10,0),
    $1:call_passenger_capacity::NUMBER(10,0),
    $1:call_passenger_load_factor::VARCHAR,
    $1:expected_is_sentinel::BOOLEAN,
    $1:onward_call_count::NUMBER(10,0),
    $1:stop_point::VARCHAR,
    $1:source_record_id::VARCHAR,
    $1:source_date::VARCHAR,
    $1:source_ts::NUMBER(19,0),
    $1:source_ingested_at::TIMESTAMP_LTZ(6),
    $1:source_system::VARCHAR,
    $1:source_processing_status::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.SIRI_VEHICLE_ACTIVITY_FILES_PIPE
  COMMENT = 'Third Rail: staged files into siri_vehicle_activity'
AS
COPY INTO MTA.REALTIME.SIRI_VEHICLE_ACTIVITY (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    source_api,
    response_at,
    valid_until_at,
    recorded_at,
    vehicle_ref,
    dated_vehicle_journey_ref,
    vehicle_id,
    trip_key,
    trip_id,
    service_date,
    line_ref,
    agency_id,
    route_id,
    direction_ref,
    journey_pattern_ref,
    published_line_name,
    operator_ref,
    origin_ref,
    destination_ref,
    destination_name,
    origin_aimed_departure_at,
    situation_refs,
    monitored,
    longitude,
    latitude,
    bearing_raw,
    bearing_compass,
    progress_rate,
    progress_status,
    is_spooking,
    occupancy,
    block_ref,
    stroller_vehicle,
    monitored_visit,
    call_stop_point_ref,
    call_stop_point_name,
    call_visit_number,
    call_aimed_arrival_at,
    call_aimed_departure_at,
    call_expected_arrival_at,
    call_expected_departure_at,
    call_arrival_status,
    call_departure_status,
    call_presentable_distance,
    call_distance_m,
    call_stops_away,
    call_distance_along_route_m,
    call_passenger_count,
    call_passenger_capacity,
    call_passenger_load_factor,
    expected_is_sentinel,
    onward_call_count,
    stop_point,
    source_record_id,
    source_date,
    source_ts,
    source_ingested_at,
    source_system,
    source_processing_status,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:source_api::VARCHAR,
    $1:response_at::TIMESTAMP_LTZ(6),
    $1:valid_until_at::TIMESTAMP_LTZ(6),
    $1:recorded_at::TIMESTAMP_LTZ(6),
    $1:vehicle_ref::VARCHAR,
    $1:dated_vehicle_journey_ref::VARCHAR,
    $1:vehicle_id::VARCHAR,
    $1:trip_key::VARCHAR,
    $1:trip_id::VARCHAR,
    $1:service_date::DATE,
    $1:line_ref::VARCHAR,
    $1:agency_id::VARCHAR,
    $1:route_id::VARCHAR,
    $1:direction_ref::NUMBER(10,0),
    $1:journey_pattern_ref::VARCHAR,
    $1:published_line_name::VARCHAR,
    $1:operator_ref::VARCHAR,
    $1:origin_ref::VARCHAR,
    $1:destination_ref::VARCHAR,
    $1:destination_name::VARCHAR,
    $1:origin_aimed_departure_at::TIMESTAMP_LTZ(6),
    $1:situation_refs::ARRAY(VARCHAR),
    $1:monitored::BOOLEAN,
    $1:longitude::DOUBLE,
    $1:latitude::DOUBLE,
    $1:bearing_raw::DOUBLE,
    $1:bearing_compass::DOUBLE,
    $1:progress_rate::VARCHAR,
    $1:progress_status::ARRAY(VARCHAR),
    $1:is_spooking::BOOLEAN,
    $1:occupancy::VARCHAR,
    $1:block_ref::VARCHAR,
    $1:stroller_vehicle::BOOLEAN,
    $1:monitored_visit::VARCHAR,
    $1:call_stop_point_ref::VARCHAR,
    $1:call_stop_point_name::VARCHAR,
    $1:call_visit_number::NUMBER(10,0),
    $1:call_aimed_arrival_at::TIMESTAMP_LTZ(6),
    $1:call_aimed_departure_at::TIMESTAMP_LTZ(6),
    $1:call_expected_arrival_at::TIMESTAMP_LTZ(6),
    $1:call_expected_departure_at::TIMESTAMP_LTZ(6),
    $1:call_arrival_status::VARCHAR,
    $1:call_departure_status::VARCHAR,
    $1:call_presentable_distance::VARCHAR,
    $1:call_distance_m::DOUBLE,
    $1:call_stops_away::NUMBER(10,0),
    $1:call_distance_along_route_m::DOUBLE,
    $1:call_passenger_count::NUMBER(10,0),
    $1:call_passenger_capacity::NUMBER(10,0),
    $1:call_passenger_load_factor::VARCHAR,
    $1:expected_is_sentinel::BOOLEAN,
    $1:onward_call_count::NUMBER(10,0),
    $1:stop_point::VARCHAR,
    $1:source_record_id::VARCHAR,
    $1:source_date::VARCHAR,
    $1:source_ts::NUMBER(19,0),
    $1:source_ingested_at::TIMESTAMP_LTZ(6),
    $1:source_system::VARCHAR,
    $1:source_processing_status::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/siri_vehicle_activity/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.SIRI_ONWARD_CALLS_PIPE
  COMMENT = 'Third Rail: channels into siri_onward_calls'
AS
COPY INTO MTA.REALTIME.SIRI_ONWARD_CALLS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    call_order,
    vehicle_ref,
    dated_vehicle_journey_ref,
    calls_to_end,
    stop_point_ref,
    stop_point_name,
    visit_number,
    aimed_arrival_at,
    aimed_departure_at,
    expected_arrival_at,
    expected_departure_at,
    arrival_status,
    departure_status,
    presentable_distance,
    distance_m,
    stops_away,
    distance_along_route_m,
    passenger_count,
    passenger_capacity,
    passenger_load_factor,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:call_order::NUMBER(10,0),
    $1:vehicle_ref::VARCHAR,
    $1:dated_vehicle_journey_ref::VARCHAR,
    $1:calls_to_end::NUMBER(10,0),
    $1:stop_point_ref::VARCHAR,
    $1:stop_point_name::VARCHAR,
    $1:visit_number::NUMBER(10,0),
    $1:aimed_arrival_at::TIMESTAMP_LTZ(6),
    $1:aimed_departure_at::TIMESTAMP_LTZ(6),
    $1:expected_arrival_at::TIMESTAMP_LTZ(6),
    $1:expected_departure_at::TIMESTAMP_LTZ(6),
    $1:arrival_status::VARCHAR,
    $1:departure_status::VARCHAR,
    $1:presentable_distance::VARCHAR,
    $1:distance_m::DOUBLE,
    $1:stops_away::NUMBER(10,0),
    $1:distance_along_route_m::DOUBLE,
    $1:passenger_count::NUMBER(10,0),
    $1:passenger_capacity::NUMBER(10,0),
    $1:passenger_load_factor::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.SIRI_ONWARD_CALLS_FILES_PIPE
  COMMENT = 'Third Rail: staged files into siri_onward_calls'
AS
COPY INTO MTA.REALTIME.SIRI_ONWARD_CALLS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    call_order,
    vehicle_ref,
    dated_vehicle_journey_ref,
    calls_to_end,
    stop_point_ref,
    stop_point_name,
    visit_number,
    aimed_arrival_at,
    aimed_departure_at,
    expected_arrival_at,
    expected_departure_at,
    arrival_status,
    departure_status,
    presentable_distance,
    distance_m,
    stops_away,
    distance_along_route_m,
    passenger_count,
    passenger_capacity,
    passenger_load_factor,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:call_order::NUMBER(10,0),
    $1:vehicle_ref::VARCHAR,
    $1:dated_vehicle_journey_ref::VARCHAR,
    $1:calls_to_end::NUMBER(10,0),
    $1:stop_point_ref::VARCHAR,
    $1:stop_point_name::VARCHAR,
    $1:visit_number::NUMBER(10,0),
    $1:aimed_arrival_at::TIMESTAMP_LTZ(6),
    $1:aimed_departure_at::TIMESTAMP_LTZ(6),
    $1:expected_arrival_at::TIMESTAMP_LTZ(6),
    $1:expected_departure_at::TIMESTAMP_LTZ(6),
    $1:arrival_status::VARCHAR,
    $1:departure_status::VARCHAR,
    $1:presentable_distance::VARCHAR,
    $1:distance_m::DOUBLE,
    $1:stops_away::NUMBER(10,0),
    $1:distance_along_route_m::DOUBLE,
    $1:passenger_count::NUMBER(10,0),
    $1:passenger_capacity::NUMBER(10,0),
    $1:passenger_load_factor::VARCHAR,
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/siri_onward_calls/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.SIRI_SITUATIONS_PIPE
  COMMENT = 'Third Rail: channels into siri_situations'
AS
COPY INTO MTA.REALTIME.SIRI_SITUATIONS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    situation_number,
    created_at,
    publication_start_at,
    publication_end_at,
    severity,
    summary,
    description,
    conditions,
    line_refs,
    direction_refs,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:situation_number::VARCHAR,
    $1:created_at::TIMESTAMP_LTZ(6),
    $1:publication_start_at::TIMESTAMP_LTZ(6),
    $1:publication_end_at::TIMESTAMP_LTZ(6),
    $1:severity::VARCHAR,
    $1:summary::VARCHAR,
    $1:description::VARCHAR,
    $1:conditions::ARRAY(VARCHAR),
    $1:line_refs::ARRAY(VARCHAR),
    $1:direction_refs::ARRAY(VARCHAR),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.SIRI_SITUATIONS_FILES_PIPE
  COMMENT = 'Third Rail: staged files into siri_situations'
AS
COPY INTO MTA.REALTIME.SIRI_SITUATIONS (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    entity_ordinal,
    entity_id,
    change_kind,
    removed_reason,
    restored_by_offset,
    situation_number,
    created_at,
    publication_start_at,
    publication_end_at,
    severity,
    summary,
    description,
    conditions,
    line_refs,
    direction_refs,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:entity_ordinal::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:change_kind::VARCHAR,
    $1:removed_reason::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0),
    $1:situation_number::VARCHAR,
    $1:created_at::TIMESTAMP_LTZ(6),
    $1:publication_start_at::TIMESTAMP_LTZ(6),
    $1:publication_end_at::TIMESTAMP_LTZ(6),
    $1:severity::VARCHAR,
    $1:summary::VARCHAR,
    $1:description::VARCHAR,
    $1:conditions::ARRAY(VARCHAR),
    $1:line_refs::ARRAY(VARCHAR),
    $1:direction_refs::ARRAY(VARCHAR),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/siri_situations/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.QUARANTINE_PIPE
  COMMENT = 'Third Rail: channels into quarantine'
AS
COPY INTO MTA.REALTIME.QUARANTINE (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    quarantine_id,
    level,
    target_table,
    entity_ordinal,
    place,
    entity_id,
    row_key,
    rule_ids,
    primary_rule_id,
    reason,
    payload_format,
    payload,
    payload_truncated,
    body_sha256,
    restored_by_offset
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:quarantine_id::VARCHAR,
    $1:level::VARCHAR,
    $1:target_table::VARCHAR,
    $1:entity_ordinal::NUMBER(10,0),
    $1:place::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:row_key::VARCHAR,
    $1:rule_ids::ARRAY(VARCHAR),
    $1:primary_rule_id::VARCHAR,
    $1:reason::VARCHAR,
    $1:payload_format::VARCHAR,
    $1:payload::VARCHAR,
    $1:payload_truncated::BOOLEAN,
    $1:body_sha256::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.QUARANTINE_FILES_PIPE
  COMMENT = 'Third Rail: staged files into quarantine'
AS
COPY INTO MTA.REALTIME.QUARANTINE (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    quarantine_id,
    level,
    target_table,
    entity_ordinal,
    place,
    entity_id,
    row_key,
    rule_ids,
    primary_rule_id,
    reason,
    payload_format,
    payload,
    payload_truncated,
    body_sha256,
    restored_by_offset
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:quarantine_id::VARCHAR,
    $1:level::VARCHAR,
    $1:target_table::VARCHAR,
    $1:entity_ordinal::NUMBER(10,0),
    $1:place::NUMBER(10,0),
    $1:entity_id::VARCHAR,
    $1:row_key::VARCHAR,
    $1:rule_ids::ARRAY(VARCHAR),
    $1:primary_rule_id::VARCHAR,
    $1:reason::VARCHAR,
    $1:payload_format::VARCHAR,
    $1:payload::VARCHAR,
    $1:payload_truncated::BOOLEAN,
    $1:body_sha256::VARCHAR,
    $1:restored_by_offset::NUMBER(19,0)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/quarantine/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.FEED_MESSAGES_PIPE
  COMMENT = 'Third Rail: channels into feed_messages'
AS
COPY INTO MTA.REALTIME.FEED_MESSAGES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    feed_family,
    source_url,
    received_at,
    http_status,
    outcome,
    error_class,
    error_detail,
    content_type,
    content_encoding,
    body_bytes,
    wire_bytes,
    body_sha256,
    duplicate_of_offset,
    fetch_duration_ms,
    attempt,
    gtfs_realtime_version,
    incrementality,
    feed_version,
    nyct_subway_version,
    entity_count,
    trip_update_count,
    stop_time_update_count,
    vehicle_count,
    alert_count,
    other_entity_count,
    header_age_s,
    accepted,
    is_full_picture,
    base_capture_offset,
    quarantined_count,
    finding_count,
    rule_counts,
    trip_updates_passed,
    trip_updates_quarantined,
    trip_updates_written,
    trip_updates_removed,
    stop_time_updates_passed,
    stop_time_updates_quarantined,
    stop_time_updates_written,
    stop_time_updates_removed,
    vehicle_positions_passed,
    vehicle_positions_quarantined,
    vehicle_positions_written,
    vehicle_positions_removed,
    vehicle_carriages_passed,
    vehicle_carriages_quarantined,
    vehicle_carriages_written,
    vehicle_carriages_removed,
    trip_replacement_periods_passed,
    trip_replacement_periods_quarantined,
    trip_replacement_periods_written,
    trip_replacement_periods_removed,
    alerts_passed,
    alerts_quarantined,
    alerts_written,
    alerts_removed,
    alert_active_periods_passed,
    alert_active_periods_quarantined,
    alert_active_periods_written,
    alert_active_periods_removed,
    alert_informed_entities_passed,
    alert_informed_entities_quarantined,
    alert_informed_entities_written,
    alert_informed_entities_removed,
    alert_translations_passed,
    alert_translations_quarantined,
    alert_translations_written,
    alert_translations_removed,
    elevator_outages_passed,
    elevator_outages_quarantined,
    elevator_outages_written,
    elevator_outages_removed,
    elevator_equipment_passed,
    elevator_equipment_quarantined,
    elevator_equipment_written,
    elevator_equipment_removed,
    siri_vehicle_activity_passed,
    siri_vehicle_activity_quarantined,
    siri_vehicle_activity_written,
    siri_vehicle_activity_removed,
    siri_onward_calls_passed,
    siri_onward_calls_quarantined,
    siri_onward_calls_written,
    siri_onward_calls_removed,
    siri_situations_passed,
    siri_situations_quarantined,
    siri_situations_written,
    siri_situations_removed,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:feed_family::VARCHAR,
    $1:source_url::VARCHAR,
    $1:received_at::TIMESTAMP_LTZ(6),
    $1:http_status::NUMBER(10,0),
    $1:outcome::VARCHAR,
    $1:error_class::VARCHAR,
    $1:error_detail::VARCHAR,
    $1:content_type::VARCHAR,
    $1:content_encoding::VARCHAR,
    $1:body_bytes::NUMBER(19,0),
    $1:wire_bytes::NUMBER(19,0),
    $1:body_sha256::VARCHAR,
    $1:duplicate_of_offset::NUMBER(19,0),
    $1:fetch_duration_ms::NUMBER(10,0),
    $1:attempt::NUMBER(10,0),
    $1:gtfs_realtime_version::VARCHAR,
    $1:incrementality::VARCHAR,
    $1:feed_version::VARCHAR,
    $1:nyct_subway_version::VARCHAR,
    $1:entity_count::NUMBER(10,0),
    $1:trip_update_count::NUMBER(10,0),
    $1:stop_time_update_count::NUMBER(10,0),
    $1:vehicle_count::NUMBER(10,0),
    $1:alert_count::NUMBER(10,0),
    $1:other_entity_count::NUMBER(10,0),
    $1:header_age_s::DOUBLE,
    $1:accepted::BOOLEAN,
    $1:is_full_picture::BOOLEAN,
    $1:base_capture_offset::NUMBER(19,0),
    $1:quarantined_count::NUMBER(10,0),
    $1:finding_count::NUMBER(10,0),
    $1:rule_counts::ARRAY(VARCHAR),
    $1:trip_updates_passed::NUMBER(10,0),
    $1:trip_updates_quarantined::NUMBER(10,0),
    $1:trip_updates_written::NUMBER(10,0),
    $1:trip_updates_removed::NUMBER(10,0),
    $1:stop_time_updates_passed::NUMBER(10,0),
    $1:stop_time_updates_quarantined::NUMBER(10,0),
    $1:stop_time_updates_written::NUMBER(10,0),
    $1:stop_time_updates_removed::NUMBER(10,0),
    $1:vehicle_positions_passed::NUMBER(10,0),
    $1:vehicle_positions_quarantined::NUMBER(10,0),
    $1:vehicle_positions_written::NUMBER(10,0),
    $1:vehicle_positions_removed::NUMBER(10,0),
    $1:vehicle_carriages_passed::NUMBER(10,0),
    $1:vehicle_carriages_quarantined::NUMBER(10,0),
    $1:vehicle_carriages_written::NUMBER(10,0),
    $1:vehicle_carriages_removed::NUMBER(10,0),
    $1:trip_replacement_periods_passed::NUMBER(10,0),
    $1:trip_replacement_periods_quarantined::NUMBER(10,0),
    $1:trip_replacement_periods_written::NUMBER(10,0),
    $1:trip_replacement_periods_removed::NUMBER(10,0),
    $1:alerts_passed::NUMBER(10,0),
    $1:alerts_quarantined::NUMBER(10,0),
    $1:alerts_written::NUMBER(10,0),
    $1:alerts_removed::NUMBER(10,0),
    $1:alert_active_periods_passed::NUMBER(10,0),
    $1:alert_active_periods_quarantined::NUMBER(10,0),
    $1:alert_active_periods_written::NUMBER(10,0),
    $1:alert_active_periods_removed::NUMBER(10,0),
    $1:alert_informed_entities_passed::NUMBER(10,0),
    $1:alert_informed_entities_quarantined::NUMBER(10,0),
    $1:alert_informed_entities_written::NUMBER(10,0),
    $1:alert_informed_entities_removed::NUMBER(10,0),
    $1:alert_translations_passed::NUMBER(10,0),
    $1:alert_translations_quarantined::NUMBER(10,0),
    $1:alert_translations_written::NUMBER(10,0),
    $1:alert_translations_removed::NUMBER(10,0),
    $1:elevator_outages_passed::NUMBER(10,0),
    $1:elevator_outages_quarantined::NUMBER(10,0),
    $1:elevator_outages_written::NUMBER(10,0),
    $1:elevator_outages_removed::NUMBER(10,0),
    $1:elevator_equipment_passed::NUMBER(10,0),
    $1:elevator_equipment_quarantined::NUMBER(10,0),
    $1:elevator_equipment_written::NUMBER(10,0),
    $1:elevator_equipment_removed::NUMBER(10,0),
    $1:siri_vehicle_activity_passed::NUMBER(10,0),
    $1:siri_vehicle_activity_quarantined::NUMBER(10,0),
    $1:siri_vehicle_activity_written::NUMBER(10,0),
    $1:siri_vehicle_activity_removed::NUMBER(10,0),
    $1:siri_onward_calls_passed::NUMBER(10,0),
    $1:siri_onward_calls_quarantined::NUMBER(10,0),
    $1:siri_onward_calls_written::NUMBER(10,0),
    $1:siri_onward_calls_removed::NUMBER(10,0),
    $1:siri_situations_passed::NUMBER(10,0),
    $1:siri_situations_quarantined::NUMBER(10,0),
    $1:siri_situations_written::NUMBER(10,0),
    $1:siri_situations_removed::NUMBER(10,0),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);

CREATE PIPE IF NOT EXISTS MTA.REALTIME.FEED_MESSAGES_FILES_PIPE
  COMMENT = 'Third Rail: staged files into feed_messages'
AS
COPY INTO MTA.REALTIME.FEED_MESSAGES (
    feed_id,
    capture_log,
    capture_offset,
    origin,
    fetched_at,
    feed_timestamp,
    pipeline_version,
    feed_family,
    source_url,
    received_at,
    http_status,
    outcome,
    error_class,
    error_detail,
    content_type,
    content_encoding,
    body_bytes,
    wire_bytes,
    body_sha256,
    duplicate_of_offset,
    fetch_duration_ms,
    attempt,
    gtfs_realtime_version,
    incrementality,
    feed_version,
    nyct_subway_version,
    entity_count,
    trip_update_count,
    stop_time_update_count,
    vehicle_count,
    alert_count,
    other_entity_count,
    header_age_s,
    accepted,
    is_full_picture,
    base_capture_offset,
    quarantined_count,
    finding_count,
    rule_counts,
    trip_updates_passed,
    trip_updates_quarantined,
    trip_updates_written,
    trip_updates_removed,
    stop_time_updates_passed,
    stop_time_updates_quarantined,
    stop_time_updates_written,
    stop_time_updates_removed,
    vehicle_positions_passed,
    vehicle_positions_quarantined,
    vehicle_positions_written,
    vehicle_positions_removed,
    vehicle_carriages_passed,
    vehicle_carriages_quarantined,
    vehicle_carriages_written,
    vehicle_carriages_removed,
    trip_replacement_periods_passed,
    trip_replacement_periods_quarantined,
    trip_replacement_periods_written,
    trip_replacement_periods_removed,
    alerts_passed,
    alerts_quarantined,
    alerts_written,
    alerts_removed,
    alert_active_periods_passed,
    alert_active_periods_quarantined,
    alert_active_periods_written,
    alert_active_periods_removed,
    alert_informed_entities_passed,
    alert_informed_entities_quarantined,
    alert_informed_entities_written,
    alert_informed_entities_removed,
    alert_translations_passed,
    alert_translations_quarantined,
    alert_translations_written,
    alert_translations_removed,
    elevator_outages_passed,
    elevator_outages_quarantined,
    elevator_outages_written,
    elevator_outages_removed,
    elevator_equipment_passed,
    elevator_equipment_quarantined,
    elevator_equipment_written,
    elevator_equipment_removed,
    siri_vehicle_activity_passed,
    siri_vehicle_activity_quarantined,
    siri_vehicle_activity_written,
    siri_vehicle_activity_removed,
    siri_onward_calls_passed,
    siri_onward_calls_quarantined,
    siri_onward_calls_written,
    siri_onward_calls_removed,
    siri_situations_passed,
    siri_situations_quarantined,
    siri_situations_written,
    siri_situations_removed,
    dq_flags
)
FROM (
  SELECT
    $1:feed_id::VARCHAR,
    $1:capture_log::VARCHAR,
    $1:capture_offset::NUMBER(19,0),
    $1:origin::VARCHAR,
    $1:fetched_at::TIMESTAMP_LTZ(6),
    $1:feed_timestamp::TIMESTAMP_LTZ(6),
    $1:pipeline_version::NUMBER(10,0),
    $1:feed_family::VARCHAR,
    $1:source_url::VARCHAR,
    $1:received_at::TIMESTAMP_LTZ(6),
    $1:http_status::NUMBER(10,0),
    $1:outcome::VARCHAR,
    $1:error_class::VARCHAR,
    $1:error_detail::VARCHAR,
    $1:content_type::VARCHAR,
    $1:content_encoding::VARCHAR,
    $1:body_bytes::NUMBER(19,0),
    $1:wire_bytes::NUMBER(19,0),
    $1:body_sha256::VARCHAR,
    $1:duplicate_of_offset::NUMBER(19,0),
    $1:fetch_duration_ms::NUMBER(10,0),
    $1:attempt::NUMBER(10,0),
    $1:gtfs_realtime_version::VARCHAR,
    $1:incrementality::VARCHAR,
    $1:feed_version::VARCHAR,
    $1:nyct_subway_version::VARCHAR,
    $1:entity_count::NUMBER(10,0),
    $1:trip_update_count::NUMBER(10,0),
    $1:stop_time_update_count::NUMBER(10,0),
    $1:vehicle_count::NUMBER(10,0),
    $1:alert_count::NUMBER(10,0),
    $1:other_entity_count::NUMBER(10,0),
    $1:header_age_s::DOUBLE,
    $1:accepted::BOOLEAN,
    $1:is_full_picture::BOOLEAN,
    $1:base_capture_offset::NUMBER(19,0),
    $1:quarantined_count::NUMBER(10,0),
    $1:finding_count::NUMBER(10,0),
    $1:rule_counts::ARRAY(VARCHAR),
    $1:trip_updates_passed::NUMBER(10,0),
    $1:trip_updates_quarantined::NUMBER(10,0),
    $1:trip_updates_written::NUMBER(10,0),
    $1:trip_updates_removed::NUMBER(10,0),
    $1:stop_time_updates_passed::NUMBER(10,0),
    $1:stop_time_updates_quarantined::NUMBER(10,0),
    $1:stop_time_updates_written::NUMBER(10,0),
    $1:stop_time_updates_removed::NUMBER(10,0),
    $1:vehicle_positions_passed::NUMBER(10,0),
    $1:vehicle_positions_quarantined::NUMBER(10,0),
    $1:vehicle_positions_written::NUMBER(10,0),
    $1:vehicle_positions_removed::NUMBER(10,0),
    $1:vehicle_carriages_passed::NUMBER(10,0),
    $1:vehicle_carriages_quarantined::NUMBER(10,0),
    $1:vehicle_carriages_written::NUMBER(10,0),
    $1:vehicle_carriages_removed::NUMBER(10,0),
    $1:trip_replacement_periods_passed::NUMBER(10,0),
    $1:trip_replacement_periods_quarantined::NUMBER(10,0),
    $1:trip_replacement_periods_written::NUMBER(10,0),
    $1:trip_replacement_periods_removed::NUMBER(10,0),
    $1:alerts_passed::NUMBER(10,0),
    $1:alerts_quarantined::NUMBER(10,0),
    $1:alerts_written::NUMBER(10,0),
    $1:alerts_removed::NUMBER(10,0),
    $1:alert_active_periods_passed::NUMBER(10,0),
    $1:alert_active_periods_quarantined::NUMBER(10,0),
    $1:alert_active_periods_written::NUMBER(10,0),
    $1:alert_active_periods_removed::NUMBER(10,0),
    $1:alert_informed_entities_passed::NUMBER(10,0),
    $1:alert_informed_entities_quarantined::NUMBER(10,0),
    $1:alert_informed_entities_written::NUMBER(10,0),
    $1:alert_informed_entities_removed::NUMBER(10,0),
    $1:alert_translations_passed::NUMBER(10,0),
    $1:alert_translations_quarantined::NUMBER(10,0),
    $1:alert_translations_written::NUMBER(10,0),
    $1:alert_translations_removed::NUMBER(10,0),
    $1:elevator_outages_passed::NUMBER(10,0),
    $1:elevator_outages_quarantined::NUMBER(10,0),
    $1:elevator_outages_written::NUMBER(10,0),
    $1:elevator_outages_removed::NUMBER(10,0),
    $1:elevator_equipment_passed::NUMBER(10,0),
    $1:elevator_equipment_quarantined::NUMBER(10,0),
    $1:elevator_equipment_written::NUMBER(10,0),
    $1:elevator_equipment_removed::NUMBER(10,0),
    $1:siri_vehicle_activity_passed::NUMBER(10,0),
    $1:siri_vehicle_activity_quarantined::NUMBER(10,0),
    $1:siri_vehicle_activity_written::NUMBER(10,0),
    $1:siri_vehicle_activity_removed::NUMBER(10,0),
    $1:siri_onward_calls_passed::NUMBER(10,0),
    $1:siri_onward_calls_quarantined::NUMBER(10,0),
    $1:siri_onward_calls_written::NUMBER(10,0),
    $1:siri_onward_calls_removed::NUMBER(10,0),
    $1:siri_situations_passed::NUMBER(10,0),
    $1:siri_situations_quarantined::NUMBER(10,0),
    $1:siri_situations_written::NUMBER(10,0),
    $1:siri_situations_removed::NUMBER(10,0),
    $1:dq_flags::ARRAY(VARCHAR)
  FROM @MTA.REALTIME.THIRDRAIL_STAGE/main/feed_messages/
)
FILE_FORMAT = (TYPE = PARQUET USE_LOGICAL_TYPE = TRUE)
ON_ERROR = SKIP_FILE;

CREATE PIPE IF NOT EXISTS MTA.REALTIME.THIRDRAIL_DOCTOR_PIPE
  COMMENT = 'Third Rail: channels into thirdrail_doctor'
AS
COPY INTO MTA.REALTIME.THIRDRAIL_DOCTOR (
    run_id,
    row_number,
    sent_at,
    note,
    words
)
FROM (
  SELECT
    $1:run_id::VARCHAR,
    $1:row_number::NUMBER(10,0),
    $1:sent_at::TIMESTAMP_LTZ(6),
    $1:note::VARCHAR,
    $1:words::ARRAY(VARCHAR)
  FROM TABLE(DATA_SOURCE(TYPE => 'STREAMING'))
);


-- ==== Views

-- rows_written counts what went into the tables; rows_in_pictures what the feeds said, most of it unchanged.
CREATE OR REPLACE VIEW MTA.REALTIME.THIRDRAIL_THROUGHPUT
  COMMENT = 'polls, rows and bytes by minute and feed family'
AS
SELECT
  DATE_TRUNC('MINUTE', fetched_at) AS minute,
  feed_family,
  COUNT(*) AS polls,
  SUM(trip_updates_passed
         + stop_time_updates_passed
         + vehicle_positions_passed
         + vehicle_carriages_passed
         + trip_replacement_periods_passed
         + alerts_passed
         + alert_active_periods_passed
         + alert_informed_entities_passed
         + alert_translations_passed
         + elevator_outages_passed
         + elevator_equipment_passed
         + siri_vehicle_activity_passed
         + siri_onward_calls_passed
         + siri_situations_passed) AS rows_in_pictures,
  SUM(trip_updates_written
         + stop_time_updates_written
         + vehicle_positions_written
         + vehicle_carriages_written
         + trip_replacement_periods_written
         + alerts_written
         + alert_active_periods_written
         + alert_informed_entities_written
         + alert_translations_written
         + elevator_outages_written
         + elevator_equipment_written
         + siri_vehicle_activity_written
         + siri_onward_calls_written
         + siri_situations_written) AS rows_written,
  SUM(trip_updates_removed
         + stop_time_updates_removed
         + vehicle_positions_removed
         + vehicle_carriages_removed
         + trip_replacement_periods_removed
         + alerts_removed
         + alert_active_periods_removed
         + alert_informed_entities_removed
         + alert_translations_removed
         + elevator_outages_removed
         + elevator_equipment_removed
         + siri_vehicle_activity_removed
         + siri_onward_calls_removed
         + siri_situations_removed) AS removals_written,
  SUM(wire_bytes) AS wire_bytes
FROM MTA.REALTIME.FEED_MESSAGES
GROUP BY DATE_TRUNC('MINUTE', fetched_at), feed_family;

-- How old the newest row is that you can see now: the time since the last poll plus the time on the way. No
-- column tells when a row became visible (it would have to be known before it is), so the time on the way
-- alone is measured from outside: `thirdrail snowflake doctor`, and the commit latency in our metrics.
CREATE OR REPLACE VIEW MTA.REALTIME.THIRDRAIL_FRESHNESS
  COMMENT = 'per feed: age of the newest poll that a query sees at this moment'
AS
SELECT
  feed_id,
  MAX(fetched_at) AS newest_fetched_at,
  DATEDIFF('SECOND', MAX(fetched_at), CURRENT_TIMESTAMP()) AS age_s
FROM MTA.REALTIME.FEED_MESSAGES
GROUP BY feed_id;

CREATE OR REPLACE VIEW MTA.REALTIME.THIRDRAIL_DELAYS
  COMMENT = 'by minute and feed family: how late the source is, and how long fetching takes'
AS
SELECT
  DATE_TRUNC('MINUTE', fetched_at) AS minute,
  feed_family,
  APPROX_PERCENTILE(header_age_s, 0.5) AS source_age_p50_s,
  APPROX_PERCENTILE(header_age_s, 0.99) AS source_age_p99_s,
  APPROX_PERCENTILE(fetch_duration_ms, 0.5) AS fetch_p50_ms,
  APPROX_PERCENTILE(fetch_duration_ms, 0.99) AS fetch_p99_ms
FROM MTA.REALTIME.FEED_MESSAGES
GROUP BY DATE_TRUNC('MINUTE', fetched_at), feed_family;

-- row_score: rows of pictures that passed, of those decoded; a refused row is whole in QUARANTINE with its
-- rules. A message that could not be decoded has no rows, hence message_score beside it. Null: nothing came.
CREATE OR REPLACE VIEW MTA.REALTIME.THIRDRAIL_QUALITY
  COMMENT = 'by hour and feed: share of decoded rows that were not refused, and of messages'
AS
SELECT
  DATE_TRUNC('HOUR', fetched_at) AS hour,
  feed_id,
  SUM(trip_updates_passed
         + stop_time_updates_passed
         + vehicle_positions_passed
         + vehicle_carriages_passed
         + trip_replacement_periods_passed
         + alerts_passed
         + alert_active_periods_passed
         + alert_informed_entities_passed
         + alert_translations_passed
         + elevator_outages_passed
         + elevator_equipment_passed
         + siri_vehicle_activity_passed
         + siri_onward_calls_passed
         + siri_situations_passed) AS rows_passed,
  SUM(trip_updates_quarantined
         + stop_time_updates_quarantined
         + vehicle_positions_quarantined
         + vehicle_carriages_quarantined
         + trip_replacement_periods_quarantined
         + alerts_quarantined
         + alert_active_periods_quarantined
         + alert_informed_entities_quarantined
         + alert_translations_quarantined
         + elevator_outages_quarantined
         + elevator_equipment_quarantined
         + siri_vehicle_activity_quarantined
         + siri_onward_calls_quarantined
         + siri_situations_quarantined) AS rows_refused,
  SUM(trip_updates_passed
         + stop_time_updates_passed
         + vehicle_positions_passed
         + vehicle_carriages_passed
         + trip_replacement_periods_passed
         + alerts_passed
         + alert_active_periods_passed
         + alert_informed_entities_passed
         + alert_translations_passed
         + elevator_outages_passed
         + elevator_equipment_passed
         + siri_vehicle_activity_passed
         + siri_onward_calls_passed
         + siri_situations_passed) / NULLIF(SUM(trip_updates_passed
         + stop_time_updates_passed
         + vehicle_positions_passed
         + vehicle_carriages_passed
         + trip_replacement_periods_passed
         + alerts_passed
         + alert_active_periods_passed
         + alert_informed_entities_passed
         + alert_translations_passed
         + elevator_outages_passed
         + elevator_equipment_passed
         + siri_vehicle_activity_passed
         + siri_onward_calls_passed
         + siri_situations_passed) + SUM(trip_updates_quarantined
         + stop_time_updates_quarantined
         + vehicle_positions_quarantined
         + vehicle_carriages_quarantined
         + trip_replacement_periods_quarantined
         + alerts_quarantined
         + alert_active_periods_quarantined
         + alert_informed_entities_quarantined
         + alert_translations_quarantined
         + elevator_outages_quarantined
         + elevator_equipment_quarantined
         + siri_vehicle_activity_quarantined
         + siri_onward_calls_quarantined
         + siri_situations_quarantined), 0) AS row_score,
  COUNT_IF(body_sha256 IS NOT NULL) AS messages,
  COUNT_IF(outcome IN ('decode_error', 'bad_body', 'rejected')) AS messages_refused,
  1 - COUNT_IF(outcome IN ('decode_error', 'bad_body', 'rejected')) / NULLIF(COUNT_IF(body_sha256 IS NOT NULL), 0) AS message_score
FROM MTA.REALTIME.FEED_MESSAGES
GROUP BY DATE_TRUNC('HOUR', fetched_at), feed_id;


-- ==== Grants

GRANT USAGE ON DATABASE MTA TO ROLE THIRDRAIL_INGEST;

GRANT USAGE ON SCHEMA MTA.REALTIME TO ROLE THIRDRAIL_INGEST;

-- Method snowpipe alone: WRITE puts and removes files, and Snowflake wants READ to be granted first.
-- PUT, LIST and REMOVE need no warehouse.
GRANT READ ON STAGE MTA.REALTIME.THIRDRAIL_STAGE TO ROLE THIRDRAIL_INGEST;

GRANT WRITE ON STAGE MTA.REALTIME.THIRDRAIL_STAGE TO ROLE THIRDRAIL_INGEST;

GRANT USAGE ON DATABASE MTA TO ROLE THIRDRAIL_INGEST_READER;

GRANT USAGE ON SCHEMA MTA.REALTIME TO ROLE THIRDRAIL_INGEST_READER;

GRANT INSERT ON TABLE MTA.REALTIME.TRIP_UPDATES TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.TRIP_UPDATES TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.TRIP_UPDATES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.TRIP_UPDATES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.TRIP_UPDATES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.STOP_TIME_UPDATES TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.STOP_TIME_UPDATES TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.STOP_TIME_UPDATES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.STOP_TIME_UPDATES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.STOP_TIME_UPDATES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.VEHICLE_POSITIONS TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.VEHICLE_POSITIONS TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.VEHICLE_POSITIONS_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.VEHICLE_POSITIONS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.VEHICLE_POSITIONS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.VEHICLE_CARRIAGES TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.VEHICLE_CARRIAGES TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.VEHICLE_CARRIAGES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.VEHICLE_CARRIAGES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.VEHICLE_CARRIAGES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.TRIP_REPLACEMENT_PERIODS TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.TRIP_REPLACEMENT_PERIODS TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.TRIP_REPLACEMENT_PERIODS_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.TRIP_REPLACEMENT_PERIODS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.TRIP_REPLACEMENT_PERIODS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.ALERTS TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.ALERTS TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.ALERTS_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.ALERTS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.ALERTS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.ALERT_ACTIVE_PERIODS TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.ALERT_ACTIVE_PERIODS TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.ALERT_ACTIVE_PERIODS_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.ALERT_ACTIVE_PERIODS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.ALERT_ACTIVE_PERIODS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.ALERT_INFORMED_ENTITIES TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.ALERT_INFORMED_ENTITIES TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.ALERT_INFORMED_ENTITIES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.ALERT_INFORMED_ENTITIES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.ALERT_INFORMED_ENTITIES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.ALERT_TRANSLATIONS TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.ALERT_TRANSLATIONS TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.ALERT_TRANSLATIONS_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.ALERT_TRANSLATIONS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.ALERT_TRANSLATIONS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.ELEVATOR_OUTAGES TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.ELEVATOR_OUTAGES TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.ELEVATOR_OUTAGES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.ELEVATOR_OUTAGES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.ELEVATOR_OUTAGES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.ELEVATOR_EQUIPMENT TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.ELEVATOR_EQUIPMENT TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.ELEVATOR_EQUIPMENT_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.ELEVATOR_EQUIPMENT_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.ELEVATOR_EQUIPMENT_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.SIRI_VEHICLE_ACTIVITY TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.SIRI_VEHICLE_ACTIVITY TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.SIRI_VEHICLE_ACTIVITY_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.SIRI_VEHICLE_ACTIVITY_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.SIRI_VEHICLE_ACTIVITY_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.SIRI_ONWARD_CALLS TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.SIRI_ONWARD_CALLS TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.SIRI_ONWARD_CALLS_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.SIRI_ONWARD_CALLS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.SIRI_ONWARD_CALLS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.SIRI_SITUATIONS TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.SIRI_SITUATIONS TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.SIRI_SITUATIONS_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.SIRI_SITUATIONS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.SIRI_SITUATIONS_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.QUARANTINE TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.QUARANTINE TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.QUARANTINE_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.QUARANTINE_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.QUARANTINE_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.FEED_MESSAGES TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.FEED_MESSAGES TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.FEED_MESSAGES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT OPERATE ON PIPE MTA.REALTIME.FEED_MESSAGES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT MONITOR ON PIPE MTA.REALTIME.FEED_MESSAGES_FILES_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT INSERT ON TABLE MTA.REALTIME.THIRDRAIL_DOCTOR TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON TABLE MTA.REALTIME.THIRDRAIL_DOCTOR TO ROLE THIRDRAIL_INGEST_READER;

GRANT OPERATE ON PIPE MTA.REALTIME.THIRDRAIL_DOCTOR_PIPE TO ROLE THIRDRAIL_INGEST;

GRANT SELECT ON VIEW MTA.REALTIME.THIRDRAIL_THROUGHPUT TO ROLE THIRDRAIL_INGEST_READER;

GRANT SELECT ON VIEW MTA.REALTIME.THIRDRAIL_FRESHNESS TO ROLE THIRDRAIL_INGEST_READER;

GRANT SELECT ON VIEW MTA.REALTIME.THIRDRAIL_DELAYS TO ROLE THIRDRAIL_INGEST_READER;

GRANT SELECT ON VIEW MTA.REALTIME.THIRDRAIL_QUALITY TO ROLE THIRDRAIL_INGEST_READER;
