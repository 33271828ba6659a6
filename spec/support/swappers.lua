-- Two attackers who swap names in a tree for symbolic links, as fast as they can, each with links
-- of its own (swapper.lua). They go on for as long as HALO_ATTACK_SECONDS says; to end before that
-- is a failure.

local command = require "spec.support.command"

local COUNT = 2
local SLACK_S = 60 -- for what is done beside the attack

---@class spec.Swappers
---@field private processes spec.Process[]
local Swappers = {}
Swappers.__index = Swappers

local swappers = {}

---How many seconds an attack takes.
---@param usual number
---@return number
function swappers.seconds(usual)
  return tonumber(os.getenv "HALO_ATTACK_SECONDS") or usual
end

---The directories that hold an attacker's links, each with the name of its path's number.
---@param dir string
---@return string[]
function swappers.sides(dir)
  local sides = {}
  for i = 1, COUNT do
    sides[i] = ("%s/side%d"):format(dir, i)
  end
  return sides
end

---@param sides string[]
---@param paths string[]
---@return spec.Swappers
function swappers.start(sides, paths)
  local self = setmetatable({ processes = {} }, Swappers)
  for i, side in ipairs(sides) do
    local line = command.halo("spec/support/swapper.lua", side, unpack(paths))
    self.processes[i] = command.start(line, swappers.seconds(1) * 2 + SLACK_S)
    self.processes[i]:await "swapping\n"
  end
  return self
end

---@param signal "STOP"|"CONT"
function Swappers:signal(signal)
  for _, process in ipairs(self.processes) do
    assert(process:signal(signal), "an attacker has ended")
  end
end

---Ends the attack, which has lasted until now.
function Swappers:finish()
  local lasted = true
  for _, process in ipairs(self.processes) do
    lasted = process:signal "KILL" and lasted
    process:finish()
  end
  assert(lasted, "an attacker has ended")
end

return swappers
