-- The module halo.fs. Each call suspends its task and lets the others run; one that the operating
-- system refuses returns nil, a message and the code. It is put together from the modules below.

local fs = {}

for _, part in ipairs { "halo.fs.calls" } do
  for name, value in pairs(require(part)) do
    fs[name] = value
  end
end

return fs
