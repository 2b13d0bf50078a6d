using AssistantQueue.TestHost;

// One process of a test: the first argument is the verb, each verb lives in a file of its own.
return args switch
{
    ["emulator", .. var rest] => await EmulatorVerb.RunAsync(rest),
    ["redis", .. var rest] => await RedisVerb.RunAsync(rest),
    ["worker", .. var rest] => await WorkerVerb.RunAsync(rest),
    _ => Unknown(args),
};

static int Unknown(string[] args)
{
    Console.Error.WriteLine($"Unknown verb: {string.Join(' ', args)}");
    return 2;
}
