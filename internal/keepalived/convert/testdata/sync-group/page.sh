#!/bin/sh
curl -s -X POST https://pager.example.com/v1/alert -d "{\"summary\": \"$2 is $3\"}"
