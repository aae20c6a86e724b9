-- The commit that a policy in force was read from, as JSON; NULL when it was applied from a folder.
ALTER TABLE policy_in_force ADD COLUMN source TEXT;
