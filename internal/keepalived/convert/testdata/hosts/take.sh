AWS="/usr/bin/aws ec2 --endpoint-url https://vpce-0abc.ec2.us-west-2.vpce.amazonaws.com --region us-west-2"
eip=eipalloc-0deadbeef12345678
$AWS associate-address --allocation-id $eip --instance-id $(ec2metadata --instance-id) \
    && echo taken || echo lost
