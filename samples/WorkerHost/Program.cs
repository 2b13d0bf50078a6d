using WorkerHost;

// Started from another folder, the program still finds its settings: they lie beside it.
var builder = Host.CreateApplicationBuilder(new HostApplicationBuilderSettings
{
    Args = args,
    ContentRootPath = File.Exists("appsettings.json") ? null : AppContext.BaseDirectory,
});

var openAI = builder.Configuration.GetSection("AssistantQueue:OpenAI");
var usesEmulator = new[] { openAI["ApiKey"], openAI["Endpoint"], openAI["AzureEndpoint"], builder.Configuration["OPENAI_API_KEY"] }.All(string.IsNullOrWhiteSpace);

var queue = builder.Services.AddAssistantMessageQueue()
    .UseOpenAI(o => o.Model ??= o.AssistantId is null && o.AzureEndpoint is null ? "gpt-5-mini" : null)
    .AddReplyHandler<ReplyLog>();
if (usesEmulator)
{
    queue.UseOpenAIEmulator();
}

using var host = builder.Build();
host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStarted.Register(() =>
    Console.WriteLine($"WorkerHost is ready; the model is {(usesEmulator ? "the OpenAI emulator in this program" : "as set in AssistantQueue:OpenAI")}."));
await host.RunAsync();
