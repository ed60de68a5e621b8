-- names.lua: the functions of Redis's libraries that the files below use. A run of the script pays for each name that some
-- function below holds on to, so they have these in common.

local pack, unpack, list, sub, pcall = struct.pack, struct.unpack, unpack, string.sub, redis.pcall
