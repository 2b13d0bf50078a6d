using AssistantQueue;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

var builder = Host.CreateApplicationBuilder();
builder.Services.AddAssistantMessageQueue(options => options.MessageDelay = TimeSpan.FromMilliseconds(100))
    .UseOpenAI()
    .UseEmbeddedRedis()
    .UseOpenAIEmulator();
using var host = builder.Build();
await host.StartAsync();

var queue = host.Services.GetRequiredService<IAssistantMessageQueue>();
var receipt = await queue.AddMessageToThreadAsync("c1", "Is my order late?");
var reply = await queue.WaitForReplyAsync(receipt).WaitAsync(TimeSpan.FromMinutes(1));
await host.StopAsync();
Console.WriteLine($"Answered: {reply.Text}");
