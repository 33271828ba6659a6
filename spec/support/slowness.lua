-- How many times longer than elsewhere something may take before it counts as hung: a machine that
-- QEMU translates (spec/machines) says by HALO_SLOW=1 that it is slow. Every machine is with a full
-- collection at each step (HALO_GC=stress).

local SLOW = 10

---@type integer
return ((os.getenv "HALO_SLOW" or "") ~= "" or os.getenv "HALO_GC" == "stress") and SLOW or 1
