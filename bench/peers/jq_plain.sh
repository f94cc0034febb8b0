# What a responder tries first: jq over the file. It ends at the first line that is no JSON.
LC_ALL=C
export LC_ALL
jq -r 'select(.Operation == "MailItemsAccessed") | . as $r | .Folders[]?.FolderItems[]? |
    [$r.MailboxGuid, $r.ClientInfoString, $r.ClientIPAddress, .InternetMessageId] | @tsv' "$1" |
    sort -u | wc -l | sed 's/^ *\([0-9]*\).*/{"messages": \1}/'
