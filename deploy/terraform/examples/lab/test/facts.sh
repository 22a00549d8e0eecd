#!/usr/bin/env bash
# Asks EC2 the questions that hacluster's fence rests on (docs/SAFETY.md), with an Elastic IP and two network interfaces that nobody else
# uses. Changes nothing but the association of that address.
#
#   facts.sh ALLOCATION_ID INTERFACE_A INTERFACE_B
set -euo pipefail

[[ $# -eq 3 ]] || { echo "usage: facts.sh ALLOCATION_ID INTERFACE_A INTERFACE_B" >&2; exit 2; }
readonly address=$1 a=$2 b=$3
wrong=0

# answer ARGS...: what 'aws ec2' says: "OK" and its output, or the error code of EC2.
answer() {
  local out
  if out=$(aws ec2 "$@" --output text 2>&1); then
    echo "OK $out"
  elif [[ $out =~ \(([A-Za-z.]+)\) ]]; then
    echo "${BASH_REMATCH[1]}"
  else
    echo "aws ec2 $1: $out" >&2
    return 1
  fi
}

# associate INTERFACE [FLAG]: prints the association id.
associate() {
  local said
  said=$(answer associate-address --allocation-id "$address" --network-interface-id "$1" "${2:---allow-reassociation}" --query AssociationId)
  [[ $said == OK\ eipassoc-* ]] || { echo "associate with $1: $said" >&2; return 1; }
  echo "${said#OK }"
}

where() {
  aws ec2 describe-addresses --allocation-ids "$address" --query 'Addresses[0].[AssociationId,NetworkInterfaceId]' --output text
}

# still ASSOCIATION INTERFACE: whether the address is there, and stays there. Reads are eventually consistent: a change may take a while to show.
still() {
  local i
  for i in 1 2 3; do
    [[ $(where) == "$1"$'\t'"$2" ]] || return 1
    [[ $i -eq 3 ]] || sleep "${FACTS_PAUSE:-3}"
  done
}

check() { # check WHAT CONDITION...: says whether EC2 does what is assumed.
  local what=$1
  shift
  if "$@"; then
    echo "as assumed: $what"
  else
    echo "NOT AS ASSUMED: $what" >&2
    wrong=1
  fi
}

first=$(associate "$a")
answer disassociate-address --association-id "$first" >/dev/null
second=$(associate "$a")
third=$(associate "$b")
distinct() { [[ $first != "$second" && $second != "$third" && $first != "$third" ]]; }
check "each new association has a fresh id ($first, $second, $third)" distinct

ends_nothing() { # ends_nothing STALE_ID
  local said
  said=$(answer disassociate-address --association-id "$1")
  echo "  EC2 answers to the stale $1: $said"
  [[ $said == OK* || $said == InvalidAssociationID.NotFound ]] && still "$third" "$b"
}
check "the id of an association that was ended disassociates nothing" ends_nothing "$first"
check "the id of an association that was displaced disassociates nothing" ends_nothing "$second"

refused() {
  local said
  said=$(answer associate-address --allocation-id "$address" --network-interface-id "$a" --no-allow-reassociation)
  echo "  EC2 answers: $said"
  [[ $said == Resource.AlreadyAssociated ]] && still "$third" "$b"
}
check "AllowReassociation=false fails while another holds the address" refused

again=$(associate "$b")
same() { [[ $again == "$third" ]]; }
check "a repeat is idempotent and keeps the id (hacluster does not depend on it)" same

answer disassociate-address --association-id "$(where | cut -f1)" >/dev/null
exit "$wrong"
