-- At maxmemory Redis lets a script write on whose first write can only free memory. This one frees nothing; what follows is then
-- ordered for a crash: a Redis that logs a script command by command (Garnet) may come back with only the beginning of it.
redis.call('DEL', KEYS[2])
