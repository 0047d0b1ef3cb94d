-- How each feed answered, hour by hour.
select
    feed_id,
    date_trunc('hour', fetched_at) as hour,
    count(*) as polls,
    count(*) filter (where accepted) as accepted,
    sum(quarantined_count) as quarantined
from {{ source('mta', 'feed_messages') }}
group by all
