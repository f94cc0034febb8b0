# Each line by itself, those that are no JSON passed over, copies of an access dropped by the id. JSON Lines alone: jq reads no CSV.
LC_ALL=C
export LC_ALL
parts=$(mktemp -d)
jq -rR 'fromjson? | select(.Operation == "MailItemsAccessed") | . as $r |
    (["a", .Id] | @tsv), (.Folders[]?.FolderItems[]? |
    ["m", $r.MailboxGuid, $r.ClientInfoString, $r.ClientIPAddress, .InternetMessageId] | @tsv)' "$1" |
    sort -u -S 512M -T "$parts" > "$parts/found"
printf '{"accesses": %d, "messages": %d}\n' "$(grep -c '^a' "$parts/found")" "$(grep -c '^m' "$parts/found")"
rm -r "$parts"
