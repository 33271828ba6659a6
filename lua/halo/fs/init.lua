-- The module halo.fs. Each call suspends its task and lets the others run; one that the operating
-- system refuses returns nil, a message and the code. It is put together from the modules below.

local fs = {}

local parts = {
  "halo.fs.calls",
  "halo.fs.tree", "halo.fs.walk", "halo.fs.glob", "halo.fs.copy", "halo.fs.at",
  "halo.fs.whole",
  "halo.fs.temp",
  "halo.fs.dir",
  "halo.fs.watch",
}

for _, part in ipairs(parts) do
  for name, value in pairs(require(part)) do
    fs[name] = value
  end
end

return fs
