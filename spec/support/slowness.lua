-- How many times longer than elsewhere something may take before it counts as hung: a machine that
-- QEMU translates (spec/machines) says by HALO_SLOW=1 that it is slow.

local SLOW = 10

---@type integer
return (os.getenv "HALO_SLOW" or "") ~= "" and SLOW or 1
