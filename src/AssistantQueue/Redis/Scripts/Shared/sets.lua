-- Raises now, before anything is written, when something else than ours lies where a finish writes for all threads.
for _, set in ipairs({ ':due', ':suspects', ':held', ':leases', ':deliveries', ':failed', ':completed' }) do
  redis.call('ZCARD', p .. set)
end
